"""Whether a probability of 0.8 is right four times in five, and a temperature that brings it there."""

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar

from bonexray.evaluate.metrics import BINS, bin_of
from bonexray.evaluate.sample import ratio

LOWEST, HIGHEST = 0.05, 20.0  # temperatures that are looked at
SMALLEST = 1e-12  # a probability of 0 has no logarithm


def fit_temperature(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """The temperature that makes the labels most likely, between `LOWEST` and `HIGHEST`.

    Above 1 a model was too sure of itself, below 1 not sure enough. Fit it on validation, never on test.

    Args:
        labels: int (images,).
        probabilities: float (images, classes).

    Returns:
        The temperature; a bound where the best lies beyond it (see `at_bound`), as when every answer is right.

    References:
        Guo et al., On Calibration of Modern Neural Networks, ICML 2017.
    """
    logits = _logits(probabilities)
    true = logits[np.arange(len(labels)), labels]

    def loss(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        return float(np.mean(_log_sum(scaled) - true / np.exp(log_temperature)))

    ends = np.log([LOWEST, HIGHEST])
    inside = minimize_scalar(loss, bounds=ends, method="bounded", options={"xatol": 1e-7}).x
    best = min([0.0, *ends, inside], key=loss)  # never worse than no scaling, and the search leaves out its ends
    return float(np.clip(np.exp(best), LOWEST, HIGHEST))


def at_bound(temperature: float) -> bool:
    """Whether the best temperature lies at or beyond what was looked at."""
    return temperature <= LOWEST * (1 + 1e-6) or temperature >= HIGHEST * (1 - 1e-6)


def with_temperature(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities (images, classes) of the logits divided by `temperature`; answers stay, rows sum to 1."""
    scaled = _logits(probabilities) / temperature
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def reliability(labels: np.ndarray, probabilities: np.ndarray, bins: int = BINS) -> pd.DataFrame:
    """How often the answer is right, by how probable the model called it.

    Args:
        labels: int (images,).
        probabilities: float (images, classes).
        bins: number of equally wide bins of (0, 1]; a bin holds its upper bound.

    Returns:
        A row a bin: bin (from 0), confidence (mean probability of the answer), accuracy, images; the two means are NaN
        in a bin without images. The mean of |accuracy - confidence| by images is the expected calibration error.
    """
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    place = bin_of(confidence, bins)
    images = np.bincount(place, minlength=bins)
    sums = [np.bincount(place, weights=values, minlength=bins) for values in (confidence, right.astype(float))]
    return pd.DataFrame(
        {
            "bin": range(bins),
            "confidence": ratio(sums[0], images),
            "accuracy": ratio(sums[1], images),
            "images": images,
        }
    )


def _logits(probabilities: np.ndarray) -> np.ndarray:
    return np.log(np.clip(probabilities, SMALLEST, 1))


def _log_sum(logits: np.ndarray) -> np.ndarray:
    largest = logits.max(axis=1)
    return largest + np.log(np.exp(logits - largest[:, None]).sum(axis=1))
