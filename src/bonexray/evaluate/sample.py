"""Labels and probabilities as scores see them: once as they are, or many times over under the weights of a bootstrap."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True, eq=False)
class Sample:
    """What every score is computed from.

    Args:
        labels: int (images,), places in the class map.
        probabilities: float (images, classes), rows sum to 1.
        classes: the class map.
        ordered: whether the class map goes from the lowest grade to the highest.
        weights: float (draws, images), how often each image counts in each draw; a row of ones is the sample itself.
    """

    labels: np.ndarray
    probabilities: np.ndarray
    classes: list[str]
    ordered: bool
    weights: np.ndarray

    @cached_property
    def predicted(self) -> np.ndarray:
        """Int (images,): the most probable class, the first of equals."""
        return self.probabilities.argmax(axis=1)

    @cached_property
    def confusion(self) -> np.ndarray:
        """Float (draws, actual class, predicted class): weights of the images."""
        count = len(self.classes)
        cells = np.eye(count * count)[self.labels * count + self.predicted]
        return (self.weights @ cells).reshape(-1, count, count)

    @cached_property
    def total(self) -> np.ndarray:
        """Float (draws,): weight of all images."""
        return self.weights.sum(axis=1)

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Float (draws,): weighted mean of a value an image."""
        return self.weights @ values / self.total


def ratio(top: np.ndarray, bottom: np.ndarray, otherwise: float = np.nan) -> np.ndarray:
    """`top / bottom`, and `otherwise` where `bottom` is 0: a score that is not defined is NaN, without a warning."""
    top, bottom = np.broadcast_arrays(np.asarray(top, float), bottom)
    return np.divide(top, bottom, out=np.full(top.shape, otherwise), where=bottom != 0)
