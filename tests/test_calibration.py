"""Temperature scaling, reliability, and curves with their bands."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from bonexray.evaluate.bootstrap import draw
from bonexray.evaluate.calibration import (
    HIGHEST,
    LOWEST,
    at_bound,
    fit_temperature,
    reliability,
    with_temperature,
)
from bonexray.evaluate.calibration_error import expected_calibration_error
from bonexray.evaluate.curves import GRID, MACRO, precision_recall_curves, reliability_curve, roc_curves
from bonexray.evaluate.metrics import all_metrics
from bonexray.evaluate.score_names import ClassScore

NAMES = ["normal", "osteopenia", "osteoporosis"]
few_examples = settings(max_examples=20, deadline=None, derandomize=True)


def calibrated_cohort(seed: int, count: int, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Return labels drawn from their probabilities."""
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.full(classes, 0.7), count)
    return (rng.random(count)[:, None] > probabilities.cumsum(axis=1)[:, :-1]).sum(axis=1), probabilities


def log_loss(labels: np.ndarray, probabilities: np.ndarray) -> float:
    return -np.log(np.maximum(probabilities[np.arange(len(labels)), labels], 1e-12)).mean()


cohorts = st.builds(calibrated_cohort, st.integers(0, 10**6), st.integers(1, 60), st.integers(2, 4))

# Temperature


@pytest.mark.parametrize("sharpened", [0.25, 0.5, 1, 3])
def test_temperature_undoes_over_and_underconfidence(sharpened: float) -> None:
    labels, probabilities = calibrated_cohort(1, 20_000)
    found = fit_temperature(labels, with_temperature(probabilities, sharpened))
    assert found == pytest.approx(1 / sharpened, rel=0.04)


@few_examples
@given(cohorts, st.floats(0.1, 10))
def test_fitted_temperature_minimises_log_loss(drawn: tuple[np.ndarray, np.ndarray], distortion: float) -> None:
    labels, probabilities = drawn[0], with_temperature(drawn[1], distortion)
    temperature = fit_temperature(labels, probabilities)
    best = log_loss(labels, with_temperature(probabilities, temperature))
    assert LOWEST <= temperature <= HIGHEST
    for other in (LOWEST, 0.3, 1, 3, HIGHEST):
        assert best <= log_loss(labels, with_temperature(probabilities, other)) + 1e-6


@few_examples
@given(cohorts, st.floats(LOWEST, HIGHEST))
def test_temperature_keeps_every_prediction(drawn: tuple[np.ndarray, np.ndarray], temperature: float) -> None:
    scaled = with_temperature(drawn[1], temperature)
    assert scaled.sum(axis=1) == pytest.approx(1)
    assert (scaled[np.arange(len(scaled)), drawn[1].argmax(axis=1)] >= scaled.max(axis=1) - 1e-12).all()


def test_a_temperature_of_1_changes_nothing() -> None:
    probabilities = calibrated_cohort(1, 20)[1]
    assert with_temperature(probabilities, 1) == pytest.approx(probabilities)


def test_all_right_or_all_wrong_predictions_end_at_a_bound() -> None:
    probabilities = np.array([[0.8, 0.2], [0.3, 0.7]])
    right, wrong = fit_temperature(np.array([0, 1]), probabilities), fit_temperature(np.array([1, 0]), probabilities)
    assert (right, wrong) == (pytest.approx(LOWEST), pytest.approx(HIGHEST))
    assert at_bound(right)
    assert at_bound(wrong)
    assert not at_bound(fit_temperature(np.array([0, 1, 0]), probabilities[[0, 0, 0]]))


def test_a_probability_of_0_has_a_temperature_too() -> None:
    temperature = fit_temperature(np.array([0, 1, 0]), np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
    assert np.isfinite(with_temperature(np.array([[1.0, 0.0]]), temperature)).all()


# Reliability


@few_examples
@given(cohorts)
def test_reliability_counts_each_image_once_and_gives_the_calibration_error(
    drawn: tuple[np.ndarray, np.ndarray],
) -> None:
    labels, probabilities = drawn
    found = reliability(labels, probabilities)
    full = found[found["images"] > 0]
    assert found["images"].sum() == len(labels)
    assert full["confidence"].is_monotonic_increasing
    assert found.loc[found["images"] == 0, ["confidence", "accuracy"]].isna().all(axis=None)
    error = np.average((full["accuracy"] - full["confidence"]).abs(), weights=full["images"])
    right = probabilities.argmax(axis=1) == labels
    assert expected_calibration_error(right, probabilities.max(axis=1)) == pytest.approx(error)


def test_calibrated_probabilities_lie_within_the_band() -> None:
    labels, probabilities = calibrated_cohort(1, 2000)
    draws = draw(np.arange(2000), 300, 7)
    found = reliability_curve(labels, probabilities, draws, 0.999).dropna()
    assert (found["low"] <= found["accuracy"]).all()
    assert (found["accuracy"] <= found["high"]).all()
    assert (found["low"] <= found["confidence"]).all()
    assert (found["confidence"] <= found["high"]).all()


# Curves


def curves(labels: np.ndarray, probabilities: np.ndarray) -> tuple:
    classes = NAMES[: probabilities.shape[1]]
    draws = draw(np.arange(len(labels)) % 20, 10, 7)
    options = (labels, probabilities, draws, classes, 0.9)
    return roc_curves(*options), precision_recall_curves(*options)


@few_examples
@given(st.integers(0, 10**6), st.integers(12, 60), st.sampled_from([1, 2, 8]))
def test_curves_equal_scikit_learn_on_the_grid(seed: int, count: int, digits: int) -> None:
    labels, probabilities = calibrated_cohort(seed, count)
    labels[:3] = [0, 1, 2]
    probabilities = probabilities.round(digits)
    roc, precision = (table.set_index("class") for table in curves(labels, probabilities))
    for c, name in enumerate(NAMES):
        false, true, _ = sk.roc_curve(labels == c, probabilities[:, c], drop_intermediate=False)
        assert roc.loc[name, "true_positive_rate"].to_numpy() == pytest.approx(np.interp(GRID, false, true))
        steps, recall, _ = sk.precision_recall_curve(labels == c, probabilities[:, c])
        reached = [np.flatnonzero(recall >= max(x, 1e-9) - 1e-12)[-1] for x in GRID]
        assert precision.loc[name, "precision"].to_numpy() == pytest.approx(steps[reached])


def test_the_area_under_a_curve_is_the_score() -> None:
    labels, probabilities = calibrated_cohort(1, 1500)
    scores = all_metrics(labels, probabilities, NAMES)
    roc, precision = (table.set_index("class") for table in curves(labels, probabilities))
    for name, key in ((MACRO, "roc_auc"), ("osteopenia", ClassScore("roc_auc", "osteopenia"))):
        assert np.trapezoid(roc.loc[name, "true_positive_rate"], GRID) == pytest.approx(scores[key], abs=0.003)
    for name, key in ((MACRO, "macro_average_precision"), ("normal", ClassScore("average_precision", "normal"))):
        assert np.trapezoid(precision.loc[name, "precision"], GRID) == pytest.approx(scores[key], abs=0.01)


def test_the_macro_curve_is_the_mean_of_the_classes_within_its_band() -> None:
    for table, y in zip(curves(*calibrated_cohort(1, 50)), ("true_positive_rate", "precision"), strict=True):
        by_class = table.set_index("class")[y].to_numpy().reshape(4, -1)
        assert by_class[3] == pytest.approx(by_class[:3].mean(axis=0))
        assert (table["low"] <= table[y] + 1e-12).all()
        assert (table[y] <= table["high"] + 1e-12).all()


def test_an_absent_class_has_no_curve_and_no_mean() -> None:
    labels, probabilities = calibrated_cohort(1, 30)
    for table in curves(np.minimum(labels, 1), probabilities):
        gone = table["class"].isin(["osteoporosis", MACRO])
        assert table.loc[gone].iloc[:, 2:].isna().all(axis=None)
        assert table.loc[~gone].notna().all(axis=None)
