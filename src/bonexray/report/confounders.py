"""Columns of the record that may explain the scores of the study, in a table and in warnings."""

from collections.abc import Mapping

from bonexray.report.data import Study
from bonexray.report.tables import Cell, Table
from bonexray.results.wording import number, p_value, signed, span, with_interval


def confounders_table(study: Study) -> Table | None:
    """Return the table of each column's links to features and class, and of matched scores; None without columns."""
    rows = [
        [
            Cell(column),
            Cell(number(found["told_auc"]), span(found, "told_auc")),
            Cell(number(found.get("told_matched_auc")), span(found, "told_matched_auc")),
            Cell(p_value(found["association_p"])),
            Cell(number(found["alone"]), span(found, "alone")),
            Cell(number(found.get("score"))),
            Cell(number(found.get("matched_score")), _change(found)),
            Cell(number(found["effective_n"], 0)),
        ]
        for column, found in study.confounders.items()
        if found
    ]
    caption = (
        f"ROC AUC of each column from features, its link to the class in training, and balanced accuracy of the column alone "
        f"and of {study.titles[study.headline['model']]}, on test with {study.confidence} intervals"
    )
    columns = (
        "Column",
        "AUC from features",
        "AUC, matched",
        "p of the link",
        "Column alone",
        "Score",
        "Score, matched",
        "Effective n",
    )
    return Table("confounders", caption, columns, rows) if rows else None


def _change(found: Mapping[str, float]) -> str:
    return f"change {signed(found['fall_low'])} to {signed(found['fall_high'])}" if "fall" in found else ""


def confounder_warnings(study: Study) -> list[str]:
    """Return a warning for each column that may explain the scores."""
    warnings = []
    for column, found in study.confounders.items():
        if found.get("named"):
            network = study.titles[study.features_of]
            warnings.append(
                f"The {column} may explain the scores: it is associated with the class in training and alone reaches a "
                f"balanced accuracy of {number(found['alone'])}, the features of {network} predict it (ROC AUC "
                f"{with_interval(found, 'told_matched_auc')} on matched images), and on test images matched for it the chosen "
                f"model's balanced accuracy changes from {number(found['score'])} to {number(found['matched_score'])} "
                f"({signed(found['fall'])}; {signed(found['fall_low'])} to {signed(found['fall_high'])}; effective n = "
                f"{number(found['effective_n'], 0)})."
            )
        if found.get("inseparable"):
            warnings.append(
                f"The {column} and the class cannot be told apart: the features predict the {column} (ROC AUC "
                f"{with_interval(found, 'told_auc')}), which is so closely associated with the class that too few test "
                f"images can be matched for it (effective n = {number(found['effective_n'], 0)})."
            )
    return warnings
