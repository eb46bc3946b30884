"""Weight test images so that a column of the record is independent of the class."""

from dataclasses import replace

import numpy as np

from bonexray.evaluate.bootstrap import Draws
from bonexray.evaluate.sample import ratio


def matched(draws: Draws, labels: np.ndarray, codes: np.ndarray) -> Draws:
    """Return draws in whose weights every class has the same shares of the values of a column.

    The common share of a value is the smallest that it has in any class. So no weight grows, and the matched images are
    the largest possible part of all. The weights are computed anew in each resample.

    Args:
        draws: draws of the images' groups.
        labels: int (images,), the class.
        codes: int (images,), the value of the column, from 0.

    Returns:
        Draws with weights from 0 to the given ones; all are 0 where the classes have no value in common.
    """
    classes, values = labels.max() + 1, codes.max() + 1
    cell = labels * values + codes
    weights = draws.weights.astype(float)
    counts = (weights @ np.eye(classes * values)[cell]).reshape(-1, classes, values)
    shares = ratio(counts, counts.sum(axis=2, keepdims=True))  # NaN for a class that a resample lacks
    factors = ratio(np.nanmin(shares, axis=1, keepdims=True), shares, otherwise=0.0)
    return replace(draws, weights=weights * factors.reshape(len(weights), -1)[:, cell])


def effective_images(weights: np.ndarray) -> float:
    """Return the number of images of equal weight that would give the same variance.

    Args:
        weights: float (images,).

    References:
        Kish, Survey Sampling, 1965.
    """
    return float(weights.sum() ** 2 / (weights**2).sum()) if weights.any() else 0.0
