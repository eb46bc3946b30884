"""Whether a heat map follows from what a network learnt: it must change where the weights are drawn anew."""

import math
from collections.abc import Iterable

import numpy as np
from scipy.stats import spearmanr

STATISTICS = {"mean", "std", "variance", "count"}  # of the data, not learnt: Standardize and Normalization keep them
ONES = {"gamma", "moving_variance"}


def randomise(weights: Iterable, seed: int) -> None:
    """Draw weights anew: kernels normal with He's variance, scales 1, offsets 0, running statistics as before training.

    Args:
        weights: Keras variables; changed in place.
        seed: of the drawing.
    """
    rng = np.random.default_rng(seed)
    for weight in weights:
        if weight.name not in STATISTICS:
            weight.assign(_fresh(weight.name, tuple(weight.shape), rng))


def likeness(maps: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Spearman's rank correlation of each pair of maps; 1 is the same order of places, 0 none in common.

    Where a map is the same at all places there are no ranks: two such pairs are alike (1) where they are equal, and
    have nothing in common (0) otherwise.

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


def _fresh(name: str, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    if name in ONES:
        return np.ones(shape, np.float32)
    if len(shape) < 2:
        return np.zeros(shape, np.float32)
    depthwise = len(shape) == 4 and shape[3] == 1  # each of its numbers sees one channel
    seen = math.prod(shape[:2] if depthwise else shape[:-1])
    return rng.standard_normal(shape, np.float32) * np.float32(math.sqrt(2 / seen))
