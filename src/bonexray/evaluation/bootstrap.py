"""How sure a score is: bootstrap over groups, because images of one patient are not independent."""

from collections.abc import Sequence

import numpy as np
from scipy import stats

from bonexray.evaluation.metrics import METRICS, Metric, scores_of
from bonexray.evaluation.sample import Sample

AT_ONCE = 1_000_000  # weights that are unfolded together: memory stays the same for any number of images


def draw_weights(groups: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """How often each image counts when as many groups as there are are drawn with replacement, again and again.

    The same groups, resamples and seed give the same draws, so that models are compared on the same resamples.

    Args:
        groups: (images,), equal values are one patient; at least one image.
        resamples: number of draws.
        seed: of the draws.

    Returns:
        uint16 (resamples + 1, images); the first row is all ones: the sample itself.

    References:
        Efron and Tibshirani, An Introduction to the Bootstrap, 1993; resampling of clusters: Field and Welsh 2007.
    """
    _, group = np.unique(groups, return_inverse=True)
    count = int(group.max()) + 1
    rng = np.random.default_rng(seed)
    weights = np.ones((resamples + 1, len(group)), np.uint16)
    for row in weights[1:]:
        row[:] = np.bincount(rng.integers(0, count, count), minlength=count)[group]
    return weights


def resampled_metrics(
    labels: np.ndarray,
    probabilities: np.ndarray,
    weights: np.ndarray,
    classes: list[str],
    ordered: bool = False,
    metrics: Sequence[Metric] = METRICS,
) -> dict[str, np.ndarray]:
    """Every score of every resample.

    Args:
        labels: int (images,), places in the class map.
        probabilities: float (images, classes).
        weights: (draws, images), as `draw_weights` gives them.
        classes: the class map.
        ordered: whether it goes from the lowest grade to the highest.
        metrics: the functions to compute.

    Returns:
        Float (draws,) by name: the estimate first, NaN where a score is not defined.
    """
    step = max(1, AT_ONCE // len(labels))
    parts = [
        scores_of(Sample(labels, probabilities, classes, ordered, weights[start : start + step].astype(float)), metrics)
        for start in range(0, len(weights), step)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def intervals(resampled: dict[str, np.ndarray], confidence: float, groups: int) -> dict[str, float]:
    """`<name>_low` and `<name>_high` of every score: see `bounds`."""
    found = {}
    for name, values in resampled.items():
        low, high = bounds(values, confidence, groups)
        found[f"{name}_low"], found[f"{name}_high"] = float(low), float(high)
    return found


def bounds(resampled: np.ndarray, confidence: float, groups: int) -> tuple[np.ndarray, np.ndarray]:
    """Expanded percentile interval: the percentiles of a t interval, so that small samples are not too narrow.

    Args:
        resampled: float (draws, ...), the estimate first; what is NaN is left out.
        confidence: of the interval, in (0, 1).
        groups: number of groups that were drawn from; one group has no spread, and the interval is its estimate.

    Returns:
        Lower and upper bound, float (...), which hold their estimate; NaN where the estimate is.

    References:
        Hesterberg, What Teachers Should Know About the Bootstrap, The American Statistician 69, 2015.
    """
    tail = expanded_tail(confidence, groups)
    columns = resampled.reshape(len(resampled), -1).T
    ends = np.array([_percentiles(column, tail) for column in columns])
    low, high = ends.T.reshape(2, *resampled.shape[1:])
    return low, high


def expanded_tail(confidence: float, groups: int) -> float:
    """The share of resamples to leave out on each side, less than (1 - confidence) / 2."""
    if groups < 2:
        return 0.0
    return float(stats.norm.cdf(np.sqrt(groups / (groups - 1)) * stats.t.ppf((1 - confidence) / 2, groups - 1)))


def standard_error(resampled: np.ndarray, groups: int) -> np.ndarray:
    """Standard deviation over the resamples of float (draws, ...), estimate first, made unbiased for few groups."""
    return np.std(resampled[1:], axis=0, ddof=1) * np.sqrt(groups / max(groups - 1, 1))


def _percentiles(column: np.ndarray, tail: float) -> tuple[float, float]:
    estimate = column[0]
    resampled = column[1:][np.isfinite(column[1:])]
    if np.isnan(estimate) or not len(resampled):
        return estimate, estimate
    low, high = np.quantile(resampled, [tail, 1 - tail])
    return min(low, estimate), max(high, estimate)
