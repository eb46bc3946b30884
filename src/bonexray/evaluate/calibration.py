"""Calibration of probabilities: temperature scaling and reliability."""

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import softmax

from bonexray.evaluate.calibration_error import bin_of_rank, calibration_bins
from bonexray.evaluate.sample import ratio

LOWEST, HIGHEST = 0.05, 20.0  # range of temperatures
SMALLEST = 1e-12  # avoids the logarithm of 0


def fit_temperature(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Fit the temperature with the lowest log loss, between `LOWEST` and `HIGHEST`.

    A temperature above 1 means that the model is overconfident, below 1 underconfident. Fit on validation, never on
    test.

    Args:
        labels: int (images,).
        probabilities: float (images, classes).

    Returns:
        The temperature; a bound if the best one lies beyond it (see `at_bound`), as when every prediction is right.

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
    best = min([0.0, *ends, inside], key=loss)  # never worse than no scaling; the search excludes its ends
    return float(np.clip(np.exp(best), LOWEST, HIGHEST))


def at_bound(temperature: float) -> bool:
    """Return whether a fitted temperature lies at a bound of the range."""
    return temperature <= LOWEST * (1 + 1e-6) or temperature >= HIGHEST * (1 - 1e-6)


def with_temperature(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Return probabilities (images, classes) with their logits divided by `temperature`; their order stays the same."""
    return softmax(_logits(probabilities) / temperature, axis=1)


def reliability(labels: np.ndarray, probabilities: np.ndarray) -> pd.DataFrame:
    """Return the accuracy of predictions in bins of equally many images, by the probability of the predicted class.

    Args:
        labels: int (images,).
        probabilities: float (images, classes).

    Returns:
        A row for each bin: bin (from 0), confidence (mean probability of the predicted class), accuracy, images. Both
        means are NaN in a bin without images. The mean of |accuracy - confidence|, weighted by images, is the expected
        calibration error.
    """
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    bins = calibration_bins(len(labels))
    indices = bin_of_rank(confidence, bins)
    images = np.bincount(indices, minlength=bins)
    sums = [np.bincount(indices, weights=values, minlength=bins) for values in (confidence, right.astype(float))]
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
    # scipy.special.logsumexp differs in the last digits, and with it the fitted temperature.
    largest = logits.max(axis=1)
    return largest + np.log(np.exp(logits - largest[:, None]).sum(axis=1))
