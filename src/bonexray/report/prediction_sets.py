"""The prediction sets of all models: a table, what a set is, what was reached, and where the promise was missed."""

from collections.abc import Mapping

from bonexray.report.data import Study
from bonexray.report.tables import Cell, Table, score_cell
from bonexray.results.wording import count, listed, missing, number, percent, span

COVERAGE = "set_coverage"
COLUMNS = {"set_size": "Classes, mean", "set_single": "One class", "set_empty": "No class", "set_all": "All classes"}


def sets_table(study: Study) -> Table | None:
    """Return the coverage of each model's sets, over all and by class, and their sizes; None if there are no sets."""
    if not study.has(COVERAGE):
        return None
    rows = [
        [
            Cell(title, order=title),
            score_cell(study.scores[name], COVERAGE),
            *(score_cell(study.scores[name]["classes"][label], COVERAGE) for label in study.classes),
            *(_cell(study.scores[name], score) for score in COLUMNS),
        ]
        for name, title in study.titles.items()
    ]
    caption = (
        f"Share of test patients whose true class is in the sets of all their images, promised {_promised(study)}, with "
        f"exact {study.confidence} intervals, and number of classes in the set of a {study.case}"
    )
    return Table(
        "sets", caption, ("Model", "Coverage", *study.classes, *COLUMNS.values()), rows, sortable=len(rows) > 1
    )


def sets_sentences(study: Study) -> list[str]:
    """Return what a set is and what the chosen model's sets reached, or why there are none; empty without a promise."""
    scores = study.scores[study.headline["model"]]
    if missing(scores.get("set_promised")):
        return []
    patients = count(scores["set_val_patients"], "validation patient")
    if missing(scores.get(COVERAGE)):
        return [
            f"No prediction sets: they need at least 10 validation patients in each training, and there are {patients}."
        ]
    by_class = bool(scores["set_by_class"])
    source = f"{patients}{' in the smallest fold' if study.folds > 1 else ''}"
    title = study.titles[study.headline["model"]]
    return [
        "A prediction set holds every class whose probability reaches a threshold, chosen so that for "
        f"{_promised(study)} of new patients{' of each class' if by_class else ''} the true class is in the sets of all their "
        f"images; the threshold comes from {source}{'' if by_class else ', too few of some class to promise this for each'}.",
        f"On {count(scores['set_patients'], 'test patient')} the sets of {title} contained it for {number(scores[COVERAGE])} "
        f"({study.confidence} interval {span(scores, COVERAGE)}), with {number(scores['set_size'], 2)} classes in a set on "
        f"average and a single one in {number(scores['set_single'], 2)} of them.",
    ]


def sets_warning(study: Study) -> str:
    """Return which models' coverage differs from the promise, by its interval; empty if none does."""
    missed: dict[str, list[str]] = {"below": [], "above": []}
    for name, title in study.titles.items():
        scores = study.scores[name]
        if missing(scores.get(COVERAGE)):
            continue
        if scores[f"{COVERAGE}_high"] < scores["set_promised"]:
            missed["below"].append(title)
        elif scores[f"{COVERAGE}_low"] > scores["set_promised"]:
            missed["above"].append(title)
    words = [f"{listed(titles)} ({where} it)" for where, titles in missed.items() if titles]
    return f"The interval of the coverage excludes what was promised: {'; '.join(words)}." if words else ""


def _promised(study: Study) -> str:
    return percent(study.scores[study.headline["model"]]["set_promised"])


def _cell(scores: Mapping[str, object], score: str) -> Cell:
    value = scores.get(score)
    return Cell(number(value, 2), order=None if missing(value) else float(value))
