"""How sure a score is: bootstrap over groups, because images of one patient are not independent."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri
from scipy.stats import t as student

from bonexray.evaluate.metrics import METRICS, Metric, scores_of
from bonexray.evaluate.sample import Sample

AT_ONCE = 1_000_000  # weights that are unfolded together: memory stays the same for any number of images
BLOCKS = 200  # of groups that are left out in turn: more would not tell the skewness better


@dataclass(frozen=True, eq=False)
class Draws:
    """How often each image counts in the sample itself, in each resample, and with some groups left out.

    Args:
        weights: uint16 (rows, images): a row of ones, a row a resample, a row a block of groups that is left out.
        resamples: number of resamples.
        groups: number of groups that are drawn from.
    """

    weights: np.ndarray
    resamples: int
    groups: int

    def resampled(self, values: np.ndarray) -> np.ndarray:
        """Of values (rows, ...), those of the resamples."""
        return values[1 : 1 + self.resamples]

    def left_out(self, values: np.ndarray) -> np.ndarray:
        """Of values (rows, ...), those with a block left out."""
        return values[1 + self.resamples :]


def draw(groups: np.ndarray, resamples: int, seed: int) -> Draws:
    """Draw as many groups as there are, with replacement, again and again.

    The same groups, resamples and seed give the same draws, so that models are compared on the same resamples.

    Args:
        groups: (images,), equal values are one patient; at least one image.
        resamples: number of resamples, at least 2.
        seed: of the draws.

    References:
        Efron and Tibshirani, An Introduction to the Bootstrap, 1993; resampling of clusters: Field and Welsh 2007.
    """
    _, group = np.unique(groups, return_inverse=True)
    count = int(group.max()) + 1
    blocks = min(count, BLOCKS) if count > 1 else 0  # without its one group nothing is left
    rng = np.random.default_rng(seed)
    weights = np.ones((1 + resamples + blocks, len(group)), np.uint16)
    for start in range(1, 1 + resamples, step := max(1, AT_ONCE // count)):
        rows = weights[start : min(start + step, 1 + resamples)]
        drawn = rng.integers(0, count, (len(rows), count)) + count * np.arange(len(rows))[:, None]
        rows[:] = np.bincount(drawn.ravel(), minlength=len(rows) * count).reshape(len(rows), count)[:, group]
    weights[1 + resamples :] = group % max(blocks, 1) != np.arange(blocks)[:, None]
    return Draws(weights, resamples, count)


def resampled_metrics(
    labels: np.ndarray,
    probabilities: np.ndarray,
    draws: Draws,
    classes: list[str],
    ordered: bool = False,
    metrics: Sequence[Metric] = METRICS,
) -> dict[str, np.ndarray]:
    """Every score of every row of the draws.

    Args:
        labels: int (images,), places in the class map.
        probabilities: float (images, classes).
        draws: of these images' groups.
        classes: the class map.
        ordered: whether it goes from the lowest grade to the highest.
        metrics: the functions to compute.

    Returns:
        Float (rows,) by name: the estimate first, NaN where a score is not defined.
    """
    step = max(1, AT_ONCE // len(labels))
    parts = [
        Sample(labels, probabilities, classes, ordered, draws.weights[start : start + step].astype(float))
        for start in range(0, len(draws.weights), step)
    ]
    scores = [scores_of(part, metrics) for part in parts]
    return {name: np.concatenate([score[name] for score in scores]) for name in scores[0]}


def intervals(resampled: dict[str, np.ndarray], draws: Draws, confidence: float) -> dict[str, float]:
    """`<name>_low` and `<name>_high` of every score: see `bounds`."""
    found = {}
    for name, values in resampled.items():
        low, high = bounds(values, draws, confidence)
        found[f"{name}_low"], found[f"{name}_high"] = float(low), float(high)
    return found


def bounds(values: np.ndarray, draws: Draws, confidence: float) -> tuple[np.ndarray, np.ndarray]:
    """Bias-corrected and accelerated (BCa) interval, expanded for few groups.

    Plain percentiles are too narrow for few groups and lie too high near 1, where scores of good models lie:
    `benchmarks/coverage.py` measures how often the interval holds the truth. BCa corrects for the skewness, and t
    quantiles in place of normal ones for the number of groups.

    Args:
        values: float (rows of the draws, ...), the estimate first; what is NaN is left out.
        draws: that the values were computed from.
        confidence: of the interval, in (0, 1).

    Returns:
        Lower and upper bound, float (...), which hold their estimate; NaN where the estimate is. Where no resample
        varies, as with one group or when every answer is right, they are the estimate alone.

    References:
        Efron, Better Bootstrap Confidence Intervals, JASA 82, 1987. Hesterberg, What Teachers Should Know About the
        Bootstrap, The American Statistician 69, 2015.
    """
    reach = expanded_reach(confidence, draws.groups)
    columns = values.reshape(len(values), -1).T
    low, high = np.array([_bca(column, draws, reach) for column in columns]).T.reshape(2, *values.shape[1:])
    return low, high


def expanded_reach(confidence: float, groups: int) -> float:
    """How many standard errors an interval reaches, as Student's t over the n - 1 in a bootstrap's variance."""
    if groups < 2:
        return 0.0
    return float(np.sqrt(groups / (groups - 1)) * student.ppf((1 + confidence) / 2, groups - 1))


def standard_error(values: np.ndarray, draws: Draws) -> np.ndarray:
    """Standard deviation over the resamples of float (rows of the draws, ...), made unbiased for few groups."""
    expansion = np.sqrt(draws.groups / max(draws.groups - 1, 1))
    return np.std(draws.resampled(values), axis=0, ddof=1) * expansion


def _bca(column: np.ndarray, draws: Draws, reach: float) -> tuple[float, float]:
    estimate, resampled = column[0], draws.resampled(column)
    resampled = resampled[np.isfinite(resampled)]
    if np.isnan(estimate) or not len(resampled):
        return estimate, estimate
    low, high = np.quantile(resampled, _shares(estimate, resampled, draws.left_out(column), reach))
    return min(low, estimate), max(high, estimate)


def _shares(estimate: float, resampled: np.ndarray, left_out: np.ndarray, reach: float) -> np.ndarray:
    """The two percentiles, in [0, 1], that take the place of (1 ± confidence) / 2."""
    near = 1e-12 * max(1.0, abs(estimate))
    below = (np.mean(resampled < estimate - near) + np.mean(resampled <= estimate + near)) / 2
    bias = ndtri(np.clip(below, 1 / (len(resampled) + 1), len(resampled) / (len(resampled) + 1)))
    pull = left_out[np.isfinite(left_out)]
    pull = pull.mean() - pull if len(pull) else np.zeros(1)
    spread = (pull**2).sum()
    acceleration = (pull**3).sum() / (6 * spread**1.5) if spread > near**2 else 0.0
    shifted = bias + np.array([-reach, reach])
    slack = np.maximum(1 - acceleration * shifted, 1e-6)  # past the pole the interval goes to the last resample
    return ndtr(bias + shifted / slack)
