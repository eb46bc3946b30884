"""ROC, precision-recall and reliability curves on a fixed grid, with bands from the bootstrap."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from bonexray.evaluate.bootstrap import Draws, bounds
from bonexray.evaluate.calibration import reliability
from bonexray.evaluate.metrics import BINS, bin_of
from bonexray.evaluate.sample import ratio

GRID = np.linspace(0, 1, 101)
MACRO = "macro_average"
Curve = Callable[[np.ndarray, np.ndarray], np.ndarray]


def roc_curves(
    labels: np.ndarray,
    probabilities: np.ndarray,
    draws: Draws,
    classes: list[str],
    confidence: float,
) -> pd.DataFrame:
    """Sensitivity by false positive rate, each class against the rest, and the mean over classes.

    Args:
        labels: int (images,).
        probabilities: float (images, classes).
        draws: of these images' groups.
        classes: the class map.
        confidence: of the band, at each point by itself.

    Returns:
        A row a class and point of `GRID`: class (or `MACRO`), false_positive_rate, true_positive_rate, low, high. NaN
        for a class without images or without others, and for the mean of all classes if any is.
    """
    return _curves("false_positive_rate", "true_positive_rate", _roc, labels, probabilities, draws, classes, confidence)


def precision_recall_curves(
    labels: np.ndarray,
    probabilities: np.ndarray,
    draws: Draws,
    classes: list[str],
    confidence: float,
) -> pd.DataFrame:
    """Precision by recall, each class against the rest, and the mean over classes.

    Precision is that of the highest threshold that reaches the recall, the steps whose area is the average precision.

    Args:
        labels: int (images,).
        probabilities: float (images, classes).
        draws: of these images' groups.
        classes: the class map.
        confidence: of the band, at each point by itself.

    Returns:
        A row a class and point of `GRID`: class (or `MACRO`), recall, precision, low, high. NaN for a class without
        images, and for the mean of all classes if any is.
    """
    return _curves("recall", "precision", _precision, labels, probabilities, draws, classes, confidence)


def reliability_curve(
    labels: np.ndarray,
    probabilities: np.ndarray,
    draws: Draws,
    confidence: float,
    bins: int = BINS,
) -> pd.DataFrame:
    """`reliability`, with the band (low, high) of each bin's accuracy; NaN in a bin without images."""
    found = reliability(labels, probabilities, bins)
    place = np.eye(bins)[bin_of(probabilities.max(axis=1), bins)]
    right = (probabilities.argmax(axis=1) == labels)[:, None]
    hits, images = (draws.weights.astype(float) @ counted for counted in (place * right, place))
    low, high = bounds(ratio(hits, images), draws, confidence)
    return found.assign(low=low, high=high)


def _curves(x: str, y: str, curve: Curve, labels, probabilities, draws, classes, confidence) -> pd.DataFrame:
    each = np.stack([_resampled(labels == c, score, draws.weights, curve) for c, score in enumerate(probabilities.T)])
    tables = []
    for name, resampled in zip([*classes, MACRO], [*each, each.mean(axis=0)], strict=True):
        low, high = bounds(resampled, draws, confidence)
        tables.append(pd.DataFrame({"class": name, x: GRID, y: resampled[0], "low": low, "high": high}))
    return pd.concat(tables, ignore_index=True)


def _resampled(positive: np.ndarray, score: np.ndarray, weights: np.ndarray, curve: Curve) -> np.ndarray:
    """Float (rows, points of the grid): the curve of each row of weights through the thresholds, the highest first."""
    order = np.argsort(-score, kind="stable")
    positive, score = positive[order], score[order]
    last = np.append(score[1:] != score[:-1], True)  # images of one score come in together
    found = np.full((len(weights), len(GRID)), np.nan)
    for row, drawn in zip(found, weights, strict=True):
        counts = drawn[order].astype(float)
        row[:] = curve(np.cumsum(counts * positive)[last], np.cumsum(counts * ~positive)[last])
    return found


def _roc(true: np.ndarray, false: np.ndarray) -> np.ndarray:
    if not (true[-1] and false[-1]):
        return np.full(len(GRID), np.nan)
    return np.interp(GRID, np.append(0, false / false[-1]), np.append(0, true / true[-1]))


def _precision(true: np.ndarray, false: np.ndarray) -> np.ndarray:
    if not true[-1]:
        return np.full(len(GRID), np.nan)
    place = np.searchsorted(true, GRID * true[-1] * (1 - 1e-9), side="left")
    place = np.maximum(place, np.flatnonzero(true)[0])  # recall 0 is read as the first recall above it
    return true[place] / (true[place] + false[place])
