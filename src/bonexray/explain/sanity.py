"""Sanity check of heat maps: they must change if the weights are randomised."""

import math
from collections.abc import Iterable

import numpy as np
from scipy.stats import spearmanr

STATISTICS = {"mean", "std", "variance", "count"}  # of the data, not learnt; kept by Standardize and Normalization
ONES = {"gamma", "moving_variance"}


def randomise(weights: Iterable, seed: int) -> None:
    """Randomise weights: kernels normal with He's variance, scales 1, offsets 0, running statistics as before training.

    Args:
        weights: Keras variables; changed in place.
        seed: seed of the random numbers.
    """
    rng = np.random.default_rng(seed)
    for weight in weights:
        if weight.name not in STATISTICS:
            weight.assign(_random_values(weight.name, tuple(weight.shape), rng))


def likeness(maps: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return Spearman's rank correlation of each pair of maps.

    A constant map has no ranks: its correlation is 1 with an equal map and 0 with any other.

    Args:
        maps: float (images, px, px).
        others: float (images, px, px).

    Returns:
        float64 (images,) in [-1, 1].

    References:
        Adebayo et al., Sanity checks for saliency maps, NeurIPS 2018.
    """
    return np.array([_likeness(one.ravel(), other.ravel()) for one, other in zip(maps, others, strict=True)])


def _likeness(one: np.ndarray, other: np.ndarray) -> float:
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return float(np.array_equal(one, other))
    return float(spearmanr(one, other).statistic)


def _random_values(name: str, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    if name in ONES:
        return np.ones(shape, np.float32)
    if len(shape) < 2:
        return np.zeros(shape, np.float32)
    depthwise = len(shape) == 4 and shape[3] == 1  # a depthwise kernel has one input channel
    fan_in = math.prod(shape[:2] if depthwise else shape[:-1])
    return rng.standard_normal(shape, np.float32) * np.float32(math.sqrt(2 / fan_in))
