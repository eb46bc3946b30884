"""The section of the report on subgroups: their scores, and the gaps between them."""

from collections.abc import Iterator, Mapping

from bonexray.report.data import Study
from bonexray.report.questions import ALPHA
from bonexray.report.tables import Cell, Table
from bonexray.results.wording import count, listed, number, p_value, span, with_interval

SCORES = {"balanced_accuracy": "Balanced accuracy", "roc_auc": "ROC AUC", "macro_f1": "F1, macro"}
GAPS = {"balanced_accuracy": "balanced accuracy", "roc_auc": "ROC AUC"}


def subgroups_table(study: Study) -> Table | None:
    """Return the table of the chosen model's scores by subgroup; None without columns."""
    rows = [
        [
            Cell(column),
            Cell(name),
            Cell(str(scores["n"])),
            Cell(str(scores["n_groups"])),
            *(Cell("too few" if scores["too_few"] else number(scores.get(s)), span(scores, s)) for s in SCORES),
        ]
        for column, found in study.subgroups.items()
        for name, scores in found["values"].items()
    ]
    title = study.titles[study.headline["model"]]
    caption = f"{title}: scores on test by subgroup, with {study.confidence} intervals over groups of images"
    columns = ("Column", "Subgroup", "Images" if study.case == "test image" else "Images of patients", "Patients")
    return Table("subgroups", caption, (*columns, *SCORES.values()), rows, text_columns=(0, 1)) if rows else None


def gaps_table(study: Study) -> Table | None:
    """Return the table of the largest gap of each column and score; None if no column has two subgroups to compare."""
    rows = [
        [
            Cell(column),
            Cell(GAPS[score]),
            Cell(f"{gap['higher']} above {gap['lower']}"),
            Cell(number(gap["difference"]), span(gap, "difference")),
            Cell(p_value(gap["p"])),
            Cell(p_value(gap["p_holm"])),
        ]
        for column, score, gap in _gaps(study)
    ]
    caption = "Largest gap between two subgroups of a column"
    columns = ("Column", "Score", "Subgroups", "Gap", "p", "p, Holm")
    return Table("gaps", caption, columns, rows, text_columns=(0, 1, 2)) if rows else None


def subgroup_sentence(study: Study) -> str:
    """Say which gap survives Holm's correction, or that none is shown; empty without columns."""
    gaps = list(_gaps(study))
    if not study.subgroups:
        return ""
    if not gaps:
        return "No column has two subgroups with ten test patients and images of every class: nothing can be compared."
    shown = [_named(column, score, gap, study) for column, score, gap in gaps if gap["p_holm"] < ALPHA]
    if shown:
        return f"{listed(shown)}."
    smallest = min(gap["p_holm"] for _, _, gap in gaps)
    return (
        f"No gap between subgroups is shown by {count(study.n, study.case)} (smallest p {p_value(smallest)} after Holm's "
        "correction); a gap too small to show in so few patients is not ruled out."
    )


def _named(column: str, score: str, gap: Mapping[str, object], study: Study) -> str:
    values = study.subgroups[column]["values"]
    lower, higher = values[gap["lower"]], values[gap["higher"]]
    return (
        f"By {column}, {GAPS[score]} is lower for {gap['lower']} ({number(lower[score])}, n = {lower['n']}) than for "
        f"{gap['higher']} ({number(higher[score])}, n = {higher['n']}): a gap of "
        f"{with_interval(gap, 'difference')}, p {p_value(gap['p_holm'])} after Holm's correction"
    )


def _gaps(study: Study) -> Iterator[tuple[str, str, Mapping[str, object]]]:
    for column, found in study.subgroups.items():
        for score, gap in found["gaps"].items():
            yield column, score, gap
