"""Table of validation scores by model and filter, from many experiments, with the test score of the best cell."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from bonexray.data.scores import PREFIX
from bonexray.evaluate.choice import chosen_on_validation
from bonexray.registry import BASELINES

FILTERS = Path("reports/benchmark_results.csv")
VALIDATION = {
    "Accuracy": "val_accuracy",
    "Precision": "val_macro_precision",
    "Recall": "val_macro_recall",
    "F1-Score": "val_macro_f1",
    "Balanced accuracy": "val_balanced_accuracy",
    "Images": "val_n",
}
TEST = {
    "Test balanced accuracy": "balanced_accuracy",
    "Test low": "balanced_accuracy_low",
    "Test high": "balanced_accuracy_high",
    "Test images": "n",
}
GRID_COLUMNS = ["Model", "Filter", *list(VALIDATION)[:4], "Scored on", *list(VALIDATION)[4:], "Chosen", *TEST]
CHOICE = ("val_collapsed", "val_balanced_accuracy", "val_log_loss")
NAMES = {*VALIDATION.values(), *TEST.values(), *CHOICE}
METHOD, FOLDS = "denoise.method", "split.folds"
VARIED = ("model", "denoise.method", "denoise.options")  # what the cells of a table differ in
# Sections that change no score of a cell.
IRRELEVANT = ("models", "backbones", "panel", "explain", "learning_curve", "compute", "track")
UNFINISHED = ("Running", "Queued", "Failed")


def comparable(
    experiments: Sequence[Mapping[str, object]], parameters: Iterable[str]
) -> tuple[list[Mapping[str, object]], Counter[str]]:
    """Return the experiments with the settings of the first one, and how many others differ in each setting.

    Args:
        experiments: rows of `dvc.api.exp_show`, the workspace first.
        parameters: dotted names of the values in params.yaml. Models and filters may differ.
    """
    settings = [name for name in parameters if not _below(name, (*VARIED, *IRRELEVANT))]
    kept, differing = [], Counter()
    for experiment in experiments:
        names = [name for name in settings if _value(experiment, name) != _value(experiments[0], name)]
        differing.update(names)
        if not names:
            kept.append(experiment)
    return kept, differing


def _below(name: str, prefixes: Iterable[str]) -> bool:
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes)


def _value(experiment: Mapping[str, object], name: str) -> object:
    """Return a value, None for null, which `dvc.api.exp_show` writes as text."""
    value = experiment.get(name)
    return None if value == "None" or value != value else value


def filter_grid(
    experiments: Iterable[Mapping[str, object]], scores_at: Callable[[str], Mapping[str, Mapping[str, object]]]
) -> pd.DataFrame:
    """Return a row for each model and filter, from the first experiment that has both.

    The scores are those on validation, so that reading the table and choosing from it leave the test images unused.
    The chosen row, the best on validation, also has its score on test. With folds it has none, because each test image
    is another fold's validation image and took part in the choice.

    Args:
        experiments: rows of `dvc.api.exp_show`, with parameters by name.
        scores_at: returns the scores of each model at a revision, as in metrics/models.json.

    Returns:
        `GRID_COLUMNS`, by model and descending balanced accuracy. `Scored on` is "validation", `Chosen` is 1 in one row
        and 0 in all others, and the columns that begin with `Test` are empty in these.
    """
    cells: dict[tuple[str, str], Mapping[str, object]] = {}
    for experiment in experiments:
        if experiment.get("State") in UNFINISHED or not experiment.get(METHOD):
            continue
        for model, scores in _networks(scores_at(experiment["rev"])).items():
            scores[FOLDS] = _value(experiment, FOLDS)
            cells.setdefault((model, str(experiment[METHOD])), scores)
    chosen = _chosen(cells)
    rows = [
        {"Model": cell[0], "Filter": cell[1], **_row(scores, cell == chosen)} for cell, scores in sorted(cells.items())
    ]
    table = pd.DataFrame(rows, columns=GRID_COLUMNS).astype({"Images": "Int64", "Test images": "Int64"})
    order = table.sort_values(["Model", "Balanced accuracy"], ascending=[True, False], kind="stable")
    return order.reset_index(drop=True)


def _networks(models: Mapping[str, Mapping[str, object]]) -> dict[str, dict[str, object]]:
    """Return the scores of the table of the networks that have a score on validation."""
    networks = {}
    for model, scores in models.items():
        if model.startswith(PREFIX) or model in BASELINES:  # before 0.2.0, ensembles were among them
            continue
        if all(isinstance(scores.get(name), int | float) for name in CHOICE):
            networks[model] = {name: scores.get(name) for name in NAMES}
    return networks


def _chosen(cells: Mapping[tuple[str, str], Mapping[str, object]]) -> tuple[str, str] | None:
    """Return the model and filter that are best on validation, by the rule that chooses a study's model."""
    if not cells:
        return None
    by_name = {f"{model} {method}": (model, method) for model, method in cells}
    return by_name[chosen_on_validation({name: dict(cells[cell]) for name, cell in by_name.items()})]


def _row(scores: Mapping[str, object], chosen: bool) -> dict[str, object]:
    tested = chosen and not scores[FOLDS]
    return {
        **{column: scores[name] for column, name in VALIDATION.items()},
        "Scored on": "validation",
        "Chosen": int(chosen),
        **{column: scores[name] if tested else math.nan for column, name in TEST.items()},
    }
