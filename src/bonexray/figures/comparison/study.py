"""Figures that compare all models of a study."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from bonexray.aggregate.friedman import Ranks
from bonexray.aggregate.table import title_of
from bonexray.figures.comparison.cost import pareto
from bonexray.figures.comparison.pairs import critical_difference, pair_matrix
from bonexray.figures.comparison.panel import evaluation_grid, model_comparison
from bonexray.figures.model.confusion import confusion_grid
from bonexray.figures.model.curves import learning_overlay


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
