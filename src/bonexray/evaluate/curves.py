"""ROC, precision-recall and reliability curves on a fixed grid, with bootstrap bands."""

from collections.abc import Callable
from enum import Enum

import numpy as np
import pandas as pd

from bonexray.evaluate.bootstrap import Draws, bounds
from bonexray.evaluate.calibration import reliability
from bonexray.evaluate.calibration_error import bin_of_rank, calibration_bins
from bonexray.evaluate.sample import ratio

GRID = np.linspace(0, 1, 101)


class Mean(Enum):
    """The value for the mean over classes in the column `class`; not text, because a class could have that name."""

    MACRO = "macro_average"


MACRO = Mean.MACRO
Curve = Callable[[np.ndarray, np.ndarray], np.ndarray]


def roc_curves(
    labels: np.ndarray,
    probabilities: np.ndarray,
    draws: Draws,
    classes: list[str],
    confidence: float,
) -> pd.DataFrame:
    """Return sensitivity by false positive rate: each class against the rest, and the mean over classes.

    Args:
        labels: int (images,).
        probabilities: float (images, classes).
        draws: draws of these images' groups.
        classes: names of the classes.
        confidence: pointwise confidence level of the band.

    Returns:
        A row for each class and point of `GRID`: class (or `MACRO`), false_positive_rate, true_positive_rate, low,
        high. NaN for a class without positive or negative images, and for the mean if any class is NaN.
    """
    return _curves("false_positive_rate", "true_positive_rate", _roc, labels, probabilities, draws, classes, confidence)


def precision_recall_curves(
    labels: np.ndarray,
    probabilities: np.ndarray,
    draws: Draws,
    classes: list[str],
    confidence: float,
) -> pd.DataFrame:
    """Return precision by recall: each class against the rest, and the mean over classes.

    Precision is taken at the highest threshold that reaches the recall. The area under these steps is the average
    precision.

    Args:
        labels: int (images,).
        probabilities: float (images, classes).
        draws: draws of these images' groups.
        classes: names of the classes.
        confidence: pointwise confidence level of the band.

    Returns:
        A row for each class and point of `GRID`: class (or `MACRO`), recall, precision, low, high. NaN for a class
        without images, and for the mean if any class is NaN.
    """
    return _curves("recall", "precision", _precision, labels, probabilities, draws, classes, confidence)


def reliability_curve(
    labels: np.ndarray,
    probabilities: np.ndarray,
    draws: Draws,
    confidence: float,
) -> pd.DataFrame:
    """Return `reliability` with a band (low, high) of each bin's accuracy; NaN in a bin without images."""
    table = reliability(labels, probabilities)
    bins = calibration_bins(len(labels))
    members = np.eye(bins)[bin_of_rank(probabilities.max(axis=1), bins)]
    right = (probabilities.argmax(axis=1) == labels)[:, None]
    hits, images = (draws.weights.astype(float) @ counts for counts in (members * right, members))
    low, high = bounds(ratio(hits, images), draws, confidence)
    return table.assign(low=low, high=high)


def _curves(x: str, y: str, curve: Curve, labels, probabilities, draws, classes, confidence) -> pd.DataFrame:
    each = np.stack([_resampled(labels == c, score, draws.weights, curve) for c, score in enumerate(probabilities.T)])
    tables = []
    for name, resampled in zip([*classes, MACRO], [*each, each.mean(axis=0)], strict=True):
        low, high = bounds(resampled, draws, confidence)
        tables.append(pd.DataFrame({"class": name, x: GRID, y: resampled[0], "low": low, "high": high}))
    return pd.concat(tables, ignore_index=True)


def _resampled(positive: np.ndarray, score: np.ndarray, weights: np.ndarray, curve: Curve) -> np.ndarray:
    """Return float (rows, points of the grid): the curve for each row of weights, from the highest threshold down."""
    order = np.argsort(-score, kind="stable")
    positive, score = positive[order], score[order]
    last = np.append(score[1:] != score[:-1], True)  # images with equal scores share a threshold
    points = np.full((len(weights), len(GRID)), np.nan)
    for row, image_weights in zip(points, weights, strict=True):
        counts = image_weights[order].astype(float)
        row[:] = curve(np.cumsum(counts * positive)[last], np.cumsum(counts * ~positive)[last])
    return points


def _roc(true: np.ndarray, false: np.ndarray) -> np.ndarray:
    if not (true[-1] and false[-1]):
        return np.full(len(GRID), np.nan)
    return np.interp(GRID, np.append(0, false / false[-1]), np.append(0, true / true[-1]))


def _precision(true: np.ndarray, false: np.ndarray) -> np.ndarray:
    if not true[-1]:
        return np.full(len(GRID), np.nan)
    index = np.searchsorted(true, GRID * true[-1] * (1 - 1e-9), side="left")
    index = np.maximum(index, np.flatnonzero(true)[0])  # at recall 0, the precision of the first recall above it
    return true[index] / (true[index] + false[index])
