"""The mean and standard deviation that features are standardised by, without Keras."""

from collections.abc import Iterable

import numpy as np


def mean_and_std(batches: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and the standard deviation of each training feature.

    A standard deviation counts as at least a tenth of the median of all: a nearly constant feature, divided by its
    own, would outweigh all others in the one image in which it differs.

    Args:
        batches: arrays (batch, features), at least one.

    Returns:
        Two float64 arrays (features,); the standard deviations are above 0.
    """
    count, total, squares, shift = 0, 0.0, 0.0, None
    for batch in batches:
        batch = np.asarray(batch, np.float64)
        shift = batch.mean(axis=0) if shift is None else shift  # near the mean: keeps the sum of squares precise
        count += len(batch)
        total = total + (batch - shift).sum(axis=0)
        squares = squares + ((batch - shift) ** 2).sum(axis=0)
    std = np.sqrt(np.maximum(squares / count - (total / count) ** 2, 0))
    varying = std[std > 0]
    return shift + total / count, np.maximum(std, 0.1 * np.median(varying)) if varying.size else np.ones_like(std)
