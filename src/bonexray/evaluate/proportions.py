"""Intervals of proportions, of their means and of areas under ROC curves, that hold near 0 and 1."""

import numpy as np
from scipy.optimize import brentq
from scipy.special import betaincinv, ndtri

Bounds = tuple[float, float]
Estimate = tuple[float, float, float]  # value, lower and upper bound


def wilson(share: float, n: float, confidence: float = 0.95) -> Bounds:
    """Return the score interval of a proportion of `n` independent images (Wilson, JASA 22, 1927)."""
    z = ndtri((1 + confidence) / 2)
    centre, reach = share + z**2 / (2 * n), z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return max(0.0, float((centre - reach) / (1 + z**2 / n))), min(1.0, float((centre + reach) / (1 + z**2 / n)))


def exact(share: float, n: float, confidence: float = 0.95) -> Bounds:
    """Return the exact interval of a proportion, never of width 0.

    Args:
        share: proportion in the sample, in [0, 1].
        n: number of independent images, above 0; an effective number need not be whole.
        confidence: confidence level, in (0, 1).

    References:
        Clopper and Pearson, Biometrika 26, 1934; with an effective number of images in clustered samples: Korn and
        Graubard, Survey Methodology 24, 1998.
    """
    hits, tail = share * n, (1 - confidence) / 2
    low = float(betaincinv(hits, n - hits + 1, tail)) if hits > 0 else 0.0
    high = float(betaincinv(hits + 1, n - hits, 1 - tail)) if hits < n else 1.0
    return min(low, share), max(high, share)


def mean_of(estimates: np.ndarray, low: np.ndarray, high: np.ndarray) -> Bounds:
    """Return the interval of the mean of independent estimates from their own intervals (MOVER).

    References:
        Zou and Donner, Construction of confidence limits about effect measures, Statistics in Medicine 27, 2008.
    """
    count, centre = len(estimates), float(estimates.mean())
    reach = [float(np.sqrt(((estimates - end) ** 2).sum())) / count for end in (low, high)]
    return max(0.0, centre - reach[0]), min(1.0, centre + reach[1])


def difference_of(one: Estimate, other: Estimate) -> Bounds:
    """Return the interval of the first minus the second of two independent estimates from their own intervals (MOVER).

    Args:
        one: estimate, lower and upper bound.
        other: the same of the other.

    References:
        Zou and Donner 2008, as in `mean_of`; for two proportions: method 10 of Newcombe, Statistics in Medicine 17, 1998.
    """
    (value, low, high), (taken, taken_low, taken_high) = one, other
    down, up = np.hypot(value - low, taken_high - taken), np.hypot(high - value, taken - taken_low)
    return float(value - taken - down), float(value - taken + up)


def area(estimate: float, positives: float, negatives: float, confidence: float = 0.95) -> Bounds:
    """Return the score interval of the area under a ROC curve; it does not collapse at 1.

    Args:
        estimate: the area, in [0, 1].
        positives: number of independent positive images, at least 1.
        negatives: number of independent negative images, at least 1.
        confidence: confidence level, in (0, 1).

    References:
        Method 5 of Newcombe, Statistics in Medicine 25, 2006, with the variance of Hanley and McNeil 1982.
    """
    z, pairs, half = ndtri((1 + confidence) / 2), positives * negatives, (positives + negatives) / 2 - 1

    def excess(value: float) -> float:
        spread = 1 + half * ((1 - value) / (2 - value) + value / (1 + value))
        return (value - estimate) ** 2 - z**2 * value * (1 - value) * spread / pairs

    low = brentq(excess, 0, estimate) if estimate > 0 and excess(estimate) < 0 else _inner(excess, estimate, 0.0)
    high = brentq(excess, estimate, 1) if estimate < 1 and excess(estimate) < 0 else _inner(excess, estimate, 1.0)
    return float(low), float(high)


def _inner(excess, estimate: float, end: float) -> float:
    """Return the bound on the side of `end` for an estimate of 0 or 1, which is itself a root."""
    if estimate == end:
        return end
    near = estimate + (end - estimate) * 1e-9
    return brentq(excess, *sorted((near, end))) if excess(near) < 0 < excess(end) else end
