"""Accuracy of a model that abstains on the images of which it is least sure."""

import numpy as np
import pandas as pd

from bonexray.evaluate.bootstrap import Draws, bounds

ANSWERED = np.linspace(0.1, 1, 37)  # shares of the images


def accuracy_by_answered(
    labels: np.ndarray, probabilities: np.ndarray, draws: Draws, confidence: float
) -> pd.DataFrame:
    """Return the accuracy on the share of images with the largest probabilities.

    Args:
        labels: int (images,), indices of the class map.
        probabilities: float (images, classes); images are taken from the largest probability down.
        draws: draws of these images' groups.
        confidence: pointwise confidence level of the band.

    Returns:
        A row for each of `ANSWERED`: answered, accuracy, low, high.

    References:
        Geifman and El-Yaniv, Selective Classification for Deep Neural Networks, NeurIPS 2017.
    """
    order = np.argsort(-probabilities.max(axis=1), kind="stable")
    right = (probabilities.argmax(axis=1) == labels)[order]
    values = np.empty((len(draws.weights), len(ANSWERED)))
    for row, weights in zip(values, draws.weights, strict=True):
        answered, hits = np.cumsum(weights[order], dtype=float), np.cumsum(weights[order] * right, dtype=float)
        wanted = ANSWERED * answered[-1]
        row[:] = np.interp(wanted, np.append(0, answered), np.append(0, hits)) / wanted
    low, high = bounds(values, draws, confidence)
    return pd.DataFrame({"answered": ANSWERED, "accuracy": values[0], "low": low, "high": high})
