"""Scores as means over repeats, resampled over patients and repeats together."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from bonexray.evaluate.bootstrap import Draws
from bonexray.evaluate.score_names import Name
from bonexray.evaluate.split_predictions import SplitPredictions, predictions_in


def each_repeat(
    rows: pd.DataFrame, probabilities: np.ndarray, classes: list[str], split: str
) -> list[SplitPredictions]:
    """Return the predictions of every repeat for the images of a split; see `predictions_in`."""
    return [predictions_in(rows, probabilities, classes, split, repeat) for repeat in sorted(set(rows["repeat"]))]


def mean_scores(each: Sequence[Mapping[Name, float]]) -> dict[Name, float]:
    """Return the mean of every score over the repeats; NaN where one is NaN."""
    return {name: type(value)(np.mean([scores[name] for scores in each])) for name, value in each[0].items()}


def repeat_weights(draws: Draws, repeats: int, seed: int | Sequence[int]) -> np.ndarray:
    """Draw the share of each repeat in every row of the draws, independently of the patients.

    A resample draws one repeat fewer than there are, with replacement, so that the variance of its mean over repeats is
    unbiased. Draws of patients and repeats are crossed, which counts their interaction twice: intervals are slightly
    too wide rather than too narrow.

    Args:
        draws: draws of the patients.
        repeats: number of repeats.
        seed: seed of the random generator.

    Returns:
        Float (rows, repeats), each row with sum 1; equal shares in the rows that are not resamples.

    References:
        Owen, The Pigeonhole Bootstrap, Annals of Applied Statistics 1, 2007. McCarthy and Snowden, The Bootstrap and
        Finite Population Sampling, Vital and Health Statistics 2 (95), 1985.
    """
    weights = np.full((len(draws.weights), repeats), 1 / repeats)
    if repeats > 1:
        drawn = np.random.default_rng(seed).multinomial(repeats - 1, weights[0], draws.resamples)
        weights[1 : 1 + draws.resamples] = drawn / (repeats - 1)
    return weights


def mean_over_repeats(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the weighted mean of `values` (rows, repeats, ...), float (rows, ...); NaN where a drawn one is NaN."""
    weights = weights.reshape(*weights.shape, *[1] * (values.ndim - 2))
    return np.where(weights > 0, weights * values, 0).sum(axis=1)


def resampled_means(each: Sequence[Mapping[Name, np.ndarray]], draws: Draws, seed: int) -> dict[Name, np.ndarray]:
    """Return every score's mean over repeats for every row of the draws.

    Args:
        each: for each repeat, the result of `resampled_metrics` with the same draws.
        draws: draws of the patients.
        seed: seed of the drawn repeats.
    """
    weights = repeat_weights(draws, len(each), [seed, len(each)])
    return {name: mean_over_repeats(np.stack([scores[name] for scores in each], axis=1), weights) for name in each[0]}
