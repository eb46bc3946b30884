"""Whether probabilities can be taken at their word: calibration error, intercept and slope."""

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from bonexray.evaluate.score_names import ClassScore, Name

MOST_BINS, FEWEST_IMAGES = 15, 10  # of a bin
SIMULATIONS = 200
SMALLEST = 1e-12  # avoids an infinite logit
FARTHEST = 50.0  # logits: beyond it an intercept is infinite


def calibration_bins(images: int) -> int:
    """Return the number of bins for a number of images: at most `MOST_BINS`, each of at least `FEWEST_IMAGES`."""
    return int(np.clip(images // FEWEST_IMAGES, 1, MOST_BINS))


def bin_of_rank(confidence: np.ndarray, bins: int) -> np.ndarray:
    """Return the bin of each probability, int (images,): bins of equally many images, from the least probable up.

    Equal probabilities share a bin, so that the order of the images has no influence.
    """
    ranks = np.searchsorted(np.sort(confidence), confidence, side="left")
    return ranks * bins // max(len(confidence), 1)


def expected_calibration_error(right: np.ndarray, confidence: np.ndarray) -> np.ndarray:
    """Return the mean of |accuracy - confidence| over bins of equally many images, weighted by images.

    Bins of equal width, which are more common, leave most of a small test set in one or two bins.

    Args:
        right: bool (..., images), whether each prediction is right; one row for each of several sets of labels.
        confidence: float (images,), the probability of the predicted class.

    Returns:
        Float (...), in [0, 1].

    References:
        Guo et al., On Calibration of Modern Neural Networks, ICML 2017. Nixon et al., Measuring Calibration in Deep
        Learning, CVPR Workshops 2019.
    """
    members = np.eye(calibration_bins(len(confidence)))[bin_of_rank(confidence, calibration_bins(len(confidence)))]
    return np.abs((right - confidence) @ members).sum(axis=-1) / len(confidence)


def error_if_calibrated(confidence: np.ndarray, seed: int) -> float:
    """Return the calibration error to expect with this number of images if every probability were exact.

    It is above 0, because the accuracy on a few images differs from their mean probability. Whether the predictions are
    right is drawn from the probabilities `SIMULATIONS` times.

    Args:
        confidence: float (images,), the probability of the predicted class.
        seed: seed of the draws.

    References:
        Bröcker and Smith, Increasing the Reliability of Reliability Diagrams, Weather and Forecasting 22, 2007.
    """
    drawn = np.random.default_rng(seed).random((SIMULATIONS, len(confidence))) < confidence
    return float(expected_calibration_error(drawn, confidence).mean())


def calibration_scores(
    labels: np.ndarray, probabilities: np.ndarray, classes: list[str], seed: int
) -> dict[Name, float]:
    """Return the calibration error, the one to expect if calibrated, and intercept and slope of each class.

    Args:
        labels: int (images,), indices of the class map.
        probabilities: float (images, classes).
        classes: names of the classes.
        seed: seed of `error_if_calibrated`.
    """
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    scores: dict[Name, float] = {
        "expected_calibration_error": float(expected_calibration_error(right, confidence)),
        "expected_calibration_error_if_calibrated": error_if_calibrated(confidence, seed),
    }
    for number, label in enumerate(classes):
        intercept, slope = intercept_and_slope(labels == number, probabilities[:, number])
        scores |= {ClassScore("calibration_intercept", label): intercept, ClassScore("calibration_slope", label): slope}
    return scores


def intercept_and_slope(positive: np.ndarray, probability: np.ndarray) -> tuple[float, float]:
    """Return calibration intercept and slope of the probability of one class against the rest.

    The intercept is 0 if the probabilities have the right mean; it is negative if they are too high. The slope is 1 if
    they are spread as they should be, below 1 if they are too extreme.

    Args:
        positive: bool (images,).
        probability: float (images,), of the class.

    Returns:
        The intercept of a logistic regression on the logit as an offset, and the slope of one on the logit. NaN
        without positive or negative images; a slope is NaN too if the logit is constant or separates both perfectly.

    References:
        Cox, Two Further Applications of a Model for Binary Regression, Biometrika 45, 1958. Van Calster et al.,
        Calibration: the Achilles Heel of Predictive Analytics, BMC Medicine 17, 2019.
    """
    if positive.all() or not positive.any():
        return np.nan, np.nan
    logits = logit(np.clip(probability, SMALLEST, 1 - SMALLEST))
    intercept = brentq(lambda shift: expit(logits + shift).sum() - positive.sum(), -FARTHEST, FARTHEST)
    return float(intercept), _slope(positive, logits)


def _slope(positive: np.ndarray, logits: np.ndarray) -> float:
    of_class, of_rest = logits[positive], logits[~positive]
    if np.ptp(logits) < 1e-9 or of_class.min() >= of_rest.max() or of_rest.min() >= of_class.max():
        return np.nan
    scale = logits.std()  # the fit converges best on standardised values
    fitted = LogisticRegression(C=np.inf, tol=1e-8, max_iter=1000).fit((logits / scale)[:, None], positive)
    return float(fitted.coef_[0, 0] / scale)
