"""Ranks of models over folds: Friedman's test and Nemenyi's critical difference."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

NEGLIGIBLE = 1e-9


@dataclass(frozen=True)
class Ranks:
    """Mean ranks of the models over blocks, with their tests.

    Args:
        blocks: number of folds.
        statistic: Friedman's chi square.
        p: p value of the hypothesis that all models are equal.
        mean_ranks: model to mean rank, the best (1) first.
        critical_difference: smallest significant difference between two mean ranks.
        cliques: maximal sets of two or more models that do not differ significantly, best first.
    """

    blocks: int
    statistic: float
    p: float
    mean_ranks: dict[str, float]
    critical_difference: float
    cliques: list[list[str]]


def compare_ranks(scores: pd.DataFrame, alpha: float = 0.05) -> Ranks | None:
    """Rank the models in each block and compare their mean ranks.

    Blocks are treated as independent. Folds share training images, so p is only a guide.

    Args:
        scores: a row for each block (a fold, never a repeat of one split), a column for each model; higher is better, ties share a rank.
        alpha: chance of a false difference among equal models.

    Returns:
        The ranks; None with fewer than 3 models or 2 blocks, for which the test is undefined, or if a score is NaN.

    References:
        Demšar, Statistical Comparisons of Classifiers over Multiple Data Sets, JMLR 7, 2006.
    """
    blocks, models = scores.shape
    if models < 3 or blocks < 2 or scores.isna().to_numpy().any():
        return None
    ranks = stats.rankdata(-scores.to_numpy(float), axis=1)
    mean = pd.Series(ranks.mean(axis=0), index=scores.columns).sort_values(kind="stable")
    if np.ptp(ranks, axis=1).any():
        statistic, p = stats.friedmanchisquare(*scores.to_numpy(float).T)
    else:
        statistic, p = 0.0, 1.0  # all models tie in every block
    gap = critical_difference(models, blocks, alpha)
    return Ranks(
        blocks, float(statistic), float(p), {str(k): float(v) for k, v in mean.items()}, gap, _cliques(mean, gap)
    )


def critical_difference(models: int, blocks: int, alpha: float = 0.05) -> float:
    """Return Nemenyi's critical difference of mean ranks."""
    quantile = stats.studentized_range.ppf(1 - alpha, models, np.inf) / np.sqrt(2)
    return float(quantile * np.sqrt(models * (models + 1) / (6 * blocks)))


def _cliques(mean: pd.Series, gap: float) -> list[list[str]]:
    cliques, reached = [], 0
    for start, rank in enumerate(mean):
        end = int(np.searchsorted(mean.to_numpy(), rank + gap - NEGLIGIBLE, side="left"))
        if end > reached and end - start > 1:
            cliques.append([str(name) for name in mean.index[start:end]])
        reached = max(reached, end)
    return cliques
