"""Calibration error, intercept and slope against their definitions, a simulation and a logistic fit."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit, logit

from bonexray.evaluate.calibration_error import (
    FEWEST_IMAGES,
    bin_of_rank,
    calibration_bins,
    error_if_calibrated,
    expected_calibration_error,
    intercept_and_slope,
)


def drawn(images: int, seed: int, *, shift: float = 0.0, slope: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Return labels, bool, and stated probabilities whose logits are `slope` and `shift` away from the true ones."""
    rng = np.random.default_rng(seed)
    true = rng.normal(0, 1.5, images)
    return rng.random(images) < expit(true), expit((true - shift) / slope)


@pytest.mark.parametrize("images", [1, 9, 36, 100, 1000])
def test_bins_hold_enough_images(images: int) -> None:
    bins = calibration_bins(images)
    counts = np.bincount(bin_of_rank(np.linspace(0.4, 0.9, images), bins), minlength=bins)
    assert bins <= 15 and np.ptp(counts) <= 1
    assert bins == 1 or counts.min() >= FEWEST_IMAGES


def test_equal_probabilities_share_a_bin() -> None:
    confidence = np.repeat([0.5, 0.9], [25, 15])
    bins = bin_of_rank(confidence, 4)
    assert len(set(bins[:25])) == 1 and len(set(bins[25:])) == 1


@pytest.mark.parametrize("images", [36, 200])
def test_a_calibrated_model_has_the_error_that_is_stated_beside_it(images: int) -> None:
    pairs = []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        confidence = rng.uniform(1 / 3, 1, images)
        error = expected_calibration_error(rng.random(images) < confidence, confidence)
        pairs.append((float(error), error_if_calibrated(confidence, seed)))
    errors, expected = np.mean(pairs, axis=0)
    assert errors == pytest.approx(expected, abs=0.01)
    assert errors < 0.12  # 0.17 at 36 images in 15 bins of equal width


def test_an_overconfident_model_exceeds_it() -> None:
    rng = np.random.default_rng(3)
    right, confidence = rng.random(200) < 0.6, np.full(200, 0.95)
    assert expected_calibration_error(right, confidence) > 5 * error_if_calibrated(confidence, 3)


@pytest.mark.parametrize("shift, slope", [(0.0, 1.0), (0.8, 1.0), (0.0, 0.5), (-0.5, 2.0)])
def test_intercept_and_slope_are_those_of_a_logistic_fit(shift: float, slope: float) -> None:
    positive, probability = drawn(4000, 1, shift=shift, slope=slope)
    logits = logit(probability)

    def loss(parameters: np.ndarray) -> float:
        linear = parameters[0] + parameters[1] * logits
        return float(np.logaddexp(0, np.where(positive, -linear, linear)).sum())

    fitted = minimize(loss, [0.0, 1.0], method="BFGS").x
    alone = minimize(lambda a: loss(np.array([a[0], 1.0])), [0.0], method="BFGS").x[0]
    found = intercept_and_slope(positive, probability)
    assert found == pytest.approx((alone, fitted[1]), abs=2e-3)
    assert found[1] == pytest.approx(slope, rel=0.1)


@pytest.mark.parametrize(
    "positive, probability, finite",
    [
        ([True, True], [0.6, 0.7], (False, False)),
        ([False, False], [0.6, 0.7], (False, False)),
        ([True, False], [0.5, 0.5], (True, False)),
        ([True, False, True], [0.8, 0.2, 1.0], (True, False)),
        ([True, False, True, False], [0.8, 0.2, 0.3, 0.6], (True, True)),
    ],
)
def test_what_cannot_be_fitted_is_nan(positive: list, probability: list, finite: tuple) -> None:
    found = intercept_and_slope(np.array(positive), np.array(probability))
    assert tuple(np.isfinite(found)) == finite
