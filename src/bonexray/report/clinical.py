"""The section of the report on clinical variables: their scores, and what they and the image add to each other."""

from bonexray.report.data import Study
from bonexray.report.questions import ALPHA
from bonexray.report.tables import Cell, Table, score_cell
from bonexray.results.wording import listed, p_value, signed

SCORES = {"balanced_accuracy": "Balanced accuracy", "roc_auc": "ROC AUC", "log_loss": "Log loss"}
ADDS = {"image": "The image adds {} to the record", "record": "The record adds {} to the image"}


def clinical_table(study: Study) -> Table | None:
    """Return the scores of the record alone, the image alone, and both; None without clinical variables."""
    names = {"record": "record alone", "both": "record and image"}
    if networks := [study.titles[name] for name in study.clinical["networks"]]:
        names["image"] = f"image alone, {listed(networks)}"
    rows = [
        [Cell(names[name]), *(score_cell(scores, score) for score in SCORES)]
        for name, scores in study.clinical["models"].items()
    ]
    caption = (
        f"Scores on {study.case}s: {listed(study.clinical['columns'])} alone, the image alone, and both" if rows else ""
    )
    return Table("clinical", caption, ("Model", *SCORES.values()), rows) if rows else None


def clinical_sentence(study: Study) -> str:
    """Say what the image adds to the record, and the record to the image; empty if there is nothing to compare."""
    sentences = []
    for added, words in ADDS.items():
        if gain := study.clinical["adds"].get(added):
            verdict = "" if gain["p_holm"] < ALPHA else ": not decided by this study"
            interval = f"{signed(gain['difference_low'])} to {signed(gain['difference_high'])}"
            difference = f"{signed(gain['difference'])} ({interval})"
            sentences.append(
                f"{words.format(difference)} in balanced accuracy, p {p_value(gain['p_holm'])} after "
                f"Holm's correction{verdict}."
            )
    return " ".join(sentences)
