"""Ensembles return probabilities and minimise their loss on validation."""

import json
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

from bonexray.aggregate.ensembles import ENSEMBLES, STRENGTHS, fit_ensemble
from bonexray.aggregate.settings import Aggregate

few_examples = settings(max_examples=20, deadline=None, derandomize=True)
Drawn = tuple[np.ndarray, np.ndarray, np.ndarray]


def members(seed: int, models: int, count: int, classes: int, skills: list[float] | None = None) -> Drawn:
    """Return labels, groups of two images and probabilities (models, images, classes)."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, count)
    probabilities = rng.dirichlet(np.ones(classes), (models, count))
    skill = np.array(skills or [0.5] * models)[:, None, None]
    return labels, np.arange(count) // 2, (probabilities + skill * np.eye(classes)[labels]) / (1 + skill)


def log_loss(labels: np.ndarray, probabilities: np.ndarray) -> float:
    return -np.log(np.maximum(probabilities[np.arange(len(labels)), labels], 1e-6)).mean()


drawn_members = st.builds(members, st.integers(0, 10**6), st.integers(1, 5), st.integers(1, 25), st.integers(2, 4))


@pytest.mark.parametrize("kind", ENSEMBLES)
@settings(max_examples=6, deadline=None, derandomize=True)
@given(drawn_members)
def test_predictions_are_probabilities_and_parameters_are_json(kind: str, drawn: Drawn) -> None:
    labels, groups, probabilities = drawn
    fitted = fit_ensemble(kind, labels, groups, probabilities)
    seen = np.random.default_rng(1).dirichlet(np.ones(probabilities.shape[2]), (len(probabilities), 7))
    predicted = fitted.predict(seen)
    assert predicted.shape == seen.shape[1:]
    assert predicted.sum(axis=1) == pytest.approx(1)
    assert (predicted >= 0).all()
    assert json.loads(json.dumps(fitted.parameters)) == fitted.parameters
    assert (fit_ensemble(kind, labels, groups, probabilities).predict(seen) == predicted).all()


def test_settings_accept_every_ensemble_and_no_other() -> None:
    (named,) = get_args(Aggregate.model_fields["ensembles"].annotation)
    assert set(get_args(named)) == set(ENSEMBLES)


@pytest.mark.parametrize("kind", ["mean", "weighted", "majority"])
def test_a_single_member_keeps_its_predictions(kind: str) -> None:
    labels, groups, probabilities = members(1, 1, 20, 3)
    predicted = fit_ensemble(kind, labels, groups, probabilities).predict(probabilities)
    assert (predicted.argmax(axis=1) == probabilities[0].argmax(axis=1)).all()


@pytest.mark.parametrize("kind", ENSEMBLES)
def test_images_do_not_change_each_others_predictions(kind: str) -> None:
    labels, groups, probabilities = members(1, 3, 30, 3)
    fitted = fit_ensemble(kind, labels, groups, probabilities)
    assert fitted.predict(probabilities)[4:5] == pytest.approx(fitted.predict(probabilities[:, 4:5]))


def test_mean_averages_probabilities() -> None:
    labels, groups, probabilities = members(1, 3, 10, 3)
    predicted = fit_ensemble("mean", labels, groups, probabilities).predict(probabilities)
    assert predicted == pytest.approx(probabilities.mean(axis=0))


# Weights


@few_examples
@given(drawn_members)
def test_weights_minimise_log_loss_on_the_simplex(drawn: Drawn) -> None:
    labels, groups, probabilities = drawn
    fitted = fit_ensemble("weighted", labels, groups, probabilities)
    weights = np.array(fitted.parameters["weights"])
    assert weights.sum() == pytest.approx(1)
    assert (weights >= 0).all()
    found = minimize(
        lambda w: log_loss(labels, np.tensordot(w, probabilities, 1)),
        np.full(len(weights), 1 / len(weights)),
        bounds=[(0, 1)] * len(weights),
        method="SLSQP",
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
    )
    assert log_loss(labels, fitted.predict(probabilities)) <= found.fun + 1e-5


def test_a_useless_member_gets_no_weight_and_equal_members_equal_weights() -> None:
    labels, groups, probabilities = members(1, 2, 400, 3, [0.0, 2.0])
    twice = probabilities[[0, 1, 1]]
    useless, *good = fit_ensemble("weighted", labels, groups, twice).parameters["weights"]
    assert useless < 0.02
    assert good[0] == pytest.approx(good[1])


# Votes


def test_the_class_with_most_votes_wins() -> None:
    votes = np.array([[[0.51, 0.49, 0.0]], [[0.51, 0.49, 0.0]], [[0.0, 1.0, 0.0]]])
    predicted = ENSEMBLES["majority"](np.array([0]), np.array([0]), votes).predict(votes)
    assert predicted[0] == pytest.approx([2 / 3, 1 / 3, 0], abs=1e-5)


def test_the_mean_probability_breaks_ties() -> None:
    votes = np.array([[[0.6, 0.4, 0.0]], [[0.1, 0.9, 0.0]]])
    predicted = ENSEMBLES["majority"](np.array([0]), np.array([0]), votes).predict(votes)
    assert predicted[0].argmax() == 1


@few_examples
@given(drawn_members)
def test_the_prediction_has_the_most_votes(drawn: Drawn) -> None:
    labels, groups, probabilities = drawn
    predicted = fit_ensemble("majority", labels, groups, probabilities).predict(probabilities).argmax(axis=1)
    for image, answer in enumerate(predicted):
        votes = np.bincount(probabilities[:, image].argmax(axis=1), minlength=probabilities.shape[2])
        tied = votes == votes.max()
        assert tied[answer]
        mean = probabilities[:, image].mean(axis=0)
        assert mean[answer] == pytest.approx(mean[tied].max())


# Stacking


def test_stacking_corrects_a_member_with_swapped_classes() -> None:
    labels, groups, probabilities = members(1, 2, 200, 3, [3.0, 0.0])
    swapped = probabilities[:, :, [1, 2, 0]]
    predicted = fit_ensemble("stacking", labels, groups, swapped).predict(swapped).argmax(axis=1)
    assert (predicted == labels).mean() > 0.9


@pytest.mark.parametrize("classes", [2, 3])
def test_stacking_equals_logistic_regression(classes: int) -> None:
    labels, groups, probabilities = members(2, 2, 60, classes)
    fitted = fit_ensemble("stacking", labels, groups, probabilities)
    logs = np.log(np.maximum(probabilities, 1e-6))
    features = np.hstack(list(logs - logs.mean(axis=2, keepdims=True)))
    strength = fitted.parameters["regularization_c"]
    expected = LogisticRegression(C=strength, max_iter=10_000, tol=1e-5).fit(features, labels).predict_proba(features)
    assert strength in STRENGTHS
    assert fitted.predict(probabilities) == pytest.approx(expected, abs=1e-4)


def test_noise_is_regularised_more_than_signal() -> None:
    noise = fit_ensemble("stacking", *members(3, 5, 60, 3, [0.0] * 5)).parameters["regularization_c"]
    signal = fit_ensemble("stacking", *members(3, 5, 60, 3, [1.5] * 5)).parameters["regularization_c"]
    assert noise < signal


def test_a_class_without_validation_images_keeps_its_mean_probability() -> None:
    labels, groups, probabilities = members(1, 3, 30, 3)
    fitted = fit_ensemble("stacking", np.minimum(labels, 1), groups, probabilities)
    predicted = fitted.predict(probabilities)
    assert predicted[:, 2] == pytest.approx(probabilities.mean(axis=0)[:, 2])
    assert fitted.parameters["classes"] == [0, 1]


def test_a_single_validation_class_leaves_the_mean() -> None:
    labels, groups, probabilities = members(1, 3, 8, 3)
    fitted = fit_ensemble("stacking", np.zeros_like(labels), groups, probabilities)
    assert fitted.predict(probabilities) == pytest.approx(probabilities.mean(axis=0))
