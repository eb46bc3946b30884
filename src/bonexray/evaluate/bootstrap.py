"""Bootstrap confidence intervals over groups, because images of one patient are not independent."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri
from scipy.stats import t as student

from bonexray.evaluate.metrics import METRICS, Metric, scores_of
from bonexray.evaluate.sample import Sample
from bonexray.evaluate.score_names import Name, with_ending

CHUNK = 1_000_000  # weights in memory as floats at a time, however many images there are
BLOCKS = 200  # jackknife blocks of groups; more would not estimate the skewness better


@dataclass(frozen=True, eq=False)
class Draws:
    """Weights of the images in the sample, in each bootstrap resample and in each jackknife block.

    Args:
        weights: uint16 (rows, images): a row of ones, then a row for each resample, then a row for each block of
            groups left out.
        resamples: number of resamples.
        groups: number of groups in the sample.
    """

    weights: np.ndarray
    resamples: int
    groups: int

    def resampled(self, values: np.ndarray) -> np.ndarray:
        """Return the rows of `values` (rows, ...) that belong to the resamples."""
        return values[1 : 1 + self.resamples]

    def left_out(self, values: np.ndarray) -> np.ndarray:
        """Return the rows of `values` (rows, ...) that leave a block out."""
        return values[1 + self.resamples :]


def draw(groups: np.ndarray, resamples: int, seed: int) -> Draws:
    """Draw bootstrap resamples of whole groups, each with as many groups as the sample.

    The same groups, resamples and seed give the same draws, so models are compared on the same resamples.

    Args:
        groups: (images,), the same value for images of one patient; at least one image.
        resamples: number of resamples, at least 2.
        seed: seed of the random generator.

    References:
        Efron and Tibshirani, An Introduction to the Bootstrap, 1993; resampling of clusters: Field and Welsh 2007.
    """
    _, group = np.unique(groups, return_inverse=True)
    count = int(group.max()) + 1
    blocks = min(count, BLOCKS) if count > 1 else 0  # leaving out the only group leaves no images
    rng = np.random.default_rng(seed)
    weights = np.ones((1 + resamples + blocks, len(group)), np.uint16)
    for start in range(1, 1 + resamples, step := max(1, CHUNK // count)):
        rows = weights[start : min(start + step, 1 + resamples)]
        indices = rng.integers(0, count, (len(rows), count)) + count * np.arange(len(rows))[:, None]
        rows[:] = np.bincount(indices.ravel(), minlength=len(rows) * count).reshape(len(rows), count)[:, group]
    weights[1 + resamples :] = group % max(blocks, 1) != np.arange(blocks)[:, None]
    return Draws(weights, resamples, count)


def resampled_metrics(
    labels: np.ndarray,
    probabilities: np.ndarray,
    draws: Draws,
    classes: list[str],
    ordered: bool = False,
    metrics: Sequence[Metric] = METRICS,
) -> dict[Name, np.ndarray]:
    """Return every score for every row of the draws.

    Args:
        labels: int (images,), indices of the class map.
        probabilities: float (images, classes).
        draws: draws of these images' groups.
        classes: names of the classes.
        ordered: True if the classes are grades, listed from lowest to highest.
        metrics: functions that compute the scores.

    Returns:
        Name to float (rows,): the estimate first; NaN where a score is undefined.
    """
    step = max(1, CHUNK // len(labels))
    parts = [
        Sample(labels, probabilities, classes, ordered, draws.weights[start : start + step].astype(float))
        for start in range(0, len(draws.weights), step)
    ]
    scores = [scores_of(part, metrics) for part in parts]
    return {name: np.concatenate([score[name] for score in scores]) for name in scores[0]}


def intervals(resampled: dict[Name, np.ndarray], draws: Draws, confidence: float) -> dict[Name, float]:
    """Return `<name>_low` and `<name>_high` of every score; see `bounds`."""
    ends = {}
    for name, values in resampled.items():
        low, high = bounds(values, draws, confidence)
        ends[with_ending(name, "_low")], ends[with_ending(name, "_high")] = float(low), float(high)
    return ends


def bounds(values: np.ndarray, draws: Draws, confidence: float) -> tuple[np.ndarray, np.ndarray]:
    """Return a bias-corrected and accelerated (BCa) interval, widened if there are few groups.

    Percentile intervals are too narrow for few groups and lie too high near 1, where good models score. BCa
    corrects for skewness; quantiles of Student's t instead of the normal distribution correct for few groups.
    `benchmarks/coverage.py` measures how often the interval contains the true score.

    Args:
        values: float (rows of the draws, ...), the estimate first; NaN is ignored.
        draws: draws that the values were computed from.
        confidence: confidence level, in (0, 1).

    Returns:
        Lower and upper bound, float (...). The interval contains the estimate and is NaN where the estimate is. Both
        bounds equal the estimate if the resamples do not vary, as with one group or when every prediction is right.

    References:
        Efron, Better Bootstrap Confidence Intervals, JASA 82, 1987. Hesterberg, What Teachers Should Know About the
        Bootstrap, The American Statistician 69, 2015.
    """
    quantile = expanded_quantile(confidence, draws.groups)
    columns = values.reshape(len(values), -1).T
    low, high = np.array([_bca(column, draws, quantile) for column in columns]).T.reshape(2, *values.shape[1:])
    return low, high


def expanded_quantile(confidence: float, groups: int) -> float:
    """Return the half-width of an interval in standard errors: Student's t, corrected for the bootstrap's variance."""
    if groups < 2:
        return 0.0
    return float(np.sqrt(groups / (groups - 1)) * student.ppf((1 + confidence) / 2, groups - 1))


def standard_error(values: np.ndarray, draws: Draws) -> np.ndarray:
    """Return the standard deviation of `values` (rows of the draws, ...) over resamples, corrected for few groups."""
    expansion = np.sqrt(draws.groups / max(draws.groups - 1, 1))
    return np.std(draws.resampled(values), axis=0, ddof=1) * expansion


def _bca(column: np.ndarray, draws: Draws, quantile: float) -> tuple[float, float]:
    estimate, resampled = column[0], draws.resampled(column)
    resampled = resampled[np.isfinite(resampled)]
    if np.isnan(estimate) or not len(resampled):
        return estimate, estimate
    low, high = np.quantile(resampled, _percentiles(estimate, resampled, draws.left_out(column), quantile))
    return min(low, estimate), max(high, estimate)


def _percentiles(estimate: float, resampled: np.ndarray, left_out: np.ndarray, quantile: float) -> np.ndarray:
    """Return the two BCa percentiles, in [0, 1], that replace (1 ± confidence) / 2."""
    tolerance = 1e-12 * max(1.0, abs(estimate))
    below = (np.mean(resampled < estimate - tolerance) + np.mean(resampled <= estimate + tolerance)) / 2
    bias = ndtri(np.clip(below, 1 / (len(resampled) + 1), len(resampled) / (len(resampled) + 1)))
    influence = left_out[np.isfinite(left_out)]
    influence = influence.mean() - influence if len(influence) else np.zeros(1)
    spread = (influence**2).sum()
    acceleration = (influence**3).sum() / (6 * spread**1.5) if spread > tolerance**2 else 0.0
    shifted = bias + np.array([-quantile, quantile])
    denominator = np.maximum(1 - acceleration * shifted, 1e-6)  # beyond the pole, take the most extreme resample
    return ndtr(bias + shifted / denominator)
