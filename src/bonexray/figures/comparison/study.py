"""Figures that compare all models of a study."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from bonexray.aggregate.friedman import Ranks
from bonexray.aggregate.table import title_of
from bonexray.figures.comparison.cost import pareto
from bonexray.figures.comparison.pairs import critical_difference, pair_matrix
from bonexray.figures.comparison.panel import evaluation_grid, model_comparison
from bonexray.figures.comparison.prediction_sets import prediction_sets
from bonexray.figures.model.confusion import confusion_grid
from bonexray.figures.model.curves import learning_overlay

COVERAGE = ("set_coverage", "set_coverage_low", "set_coverage_high")


def draw_prediction_sets(
    answered: pd.DataFrame, scores: Mapping[str, object], classes: Sequence[str], name: str, folder: Path
) -> None:
    """Draw the prediction sets of a model; nothing if it has none.

    Args:
        answered: rows of `accuracy_by_answered`.
        scores: of the model.
        classes: names of the classes.
        name: of the model.
        folder: for the file.
    """
    if "set_coverage" not in scores:
        return

    def interval(block: Mapping) -> tuple[float, float, float]:
        return tuple(np.nan if block[key] is None else block[key] for key in COVERAGE)

    by_class = {label: interval(scores["classes"][label]) for label in classes}
    title = f"{title_of(name)}: {scores['n']} test {scores['unit']}s of {scores['set_patients']} patients"
    promised, path = scores["set_promised"], folder / "models_prediction_sets.png"
    prediction_sets(answered, interval(scores), by_class, promised, title, path, scores["unit"])


def draw_study(
    table: pd.DataFrame,
    confusions: Mapping[str, Mapping],
    pairs: pd.DataFrame,
    ranks: Ranks | None,
    histories: Mapping[str, pd.DataFrame],
    chosen: str,
    folder: Path,
    ceiling: float | None = None,
) -> None:
    """Draw all figures that compare models.

    Args:
        table: the ranked comparison.
        confusions: model to the number of images by actual and predicted class.
        pairs: comparison of every pair of models.
        ranks: over folds, if there are any.
        histories: model to the history of its first training.
        chosen: name of the model chosen on validation.
        folder: for the files.
        ceiling: balanced accuracy of a simulated cohort's own truth; None for real images.
    """
    titles = dict(zip(table["model"], table["title"], strict=True))
    alike = set(table.loc[table["not_distinguishable"] == 1, "title"])
    ensembles, baselines = (set(table.loc[table["kind"] == kind, "title"]) for kind in ("ensemble", "baseline"))
    path = folder / "models_comparison.png"
    model_comparison(
        table, titles[chosen], path, alike=alike, ensembles=ensembles, baselines=baselines, ceiling=ceiling
    )
    evaluation_grid(table, folder / "models_evaluation_grid.png")
    confusion_grid({titles[name]: confusions[name] for name in table["model"]}, folder / "models_confusion_grid.png")
    named = {titles[name]: history for name, history in histories.items()}
    learning_overlay(named, folder / "models_learning_curves.png", titles[chosen])
    ends = {"balanced_accuracy_low": "low", "balanced_accuracy_high": "high"}
    shown = "model" if (table["kind"] == "model").any() else "baseline"
    pareto(table[table["kind"] == shown].rename(columns=ends), folder / "models_cost.png")
    if len(table) > 1:
        pair_matrix(pairs, list(table["model"]), titles, folder / "models_pairs.png")
    if ranks:
        critical_difference(
            {title_of(name): rank for name, rank in ranks.mean_ranks.items()},
            ranks.critical_difference,
            [[title_of(name) for name in clique] for clique in ranks.cliques],
            folder / "models_critical_difference.png",
        )
