"""Labels and probabilities with the weights of one or many bootstrap draws."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True, eq=False)
class Sample:
    """The input of every score.

    Args:
        labels: int (images,), indices of the class map.
        probabilities: float (images, classes); each row sums to 1.
        classes: names of the classes.
        ordered: True if the classes are grades, listed from lowest to highest.
        weights: float (draws, images), the weight of each image in each draw; a row of ones is the sample itself.
    """

    labels: np.ndarray
    probabilities: np.ndarray
    classes: list[str]
    ordered: bool
    weights: np.ndarray

    @cached_property
    def predicted(self) -> np.ndarray:
        """Int (images,): the most probable class, the first one in a tie."""
        return self.probabilities.argmax(axis=1)

    @cached_property
    def confusion(self) -> np.ndarray:
        """Float (draws, actual class, predicted class): sum of the images' weights."""
        count = len(self.classes)
        cells = np.eye(count * count)[self.labels * count + self.predicted]
        return (self.weights @ cells).reshape(-1, count, count)

    @cached_property
    def total(self) -> np.ndarray:
        """Float (draws,): sum of the weights."""
        return self.weights.sum(axis=1)

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Return float (draws,): the weighted mean of float (images,)."""
        return self.weights @ values / self.total


def ratio(numerator: np.ndarray, denominator: np.ndarray, otherwise: float = np.nan) -> np.ndarray:
    """Return `numerator / denominator`, and `otherwise` where the denominator is 0, without a warning."""
    numerator, denominator = np.broadcast_arrays(np.asarray(numerator, float), denominator)
    return np.divide(numerator, denominator, out=np.full(numerator.shape, otherwise), where=denominator != 0)
