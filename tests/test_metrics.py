"""Scores equal those of scikit-learn, or have a documented value where scikit-learn has none."""

import warnings
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from bonexray.evaluate.metrics import (
    METRICS,
    all_metrics,
    balanced_accuracy,
    collapsed,
    confusion_counts,
    scores_of,
)
from bonexray.evaluate.sample import Sample
from bonexray.evaluate.score_names import ClassScore

NAMES = ["normal", "osteopenia", "osteoporosis", "frattura è"]
few_examples = settings(max_examples=25, deadline=None, derandomize=True)
Drawn = tuple[np.ndarray, np.ndarray, np.ndarray]


@pytest.fixture(autouse=True)
def no_warning() -> Iterator[None]:
    """Turn warnings into errors: an undefined score is NaN without a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def sample(seed: int, count: int, classes: int, steps: int) -> Drawn:
    """Return labels of every class, probabilities on a coarse grid, so that many tie, and weights of the images."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.concatenate([np.arange(classes), rng.integers(0, classes, count - classes)]))
    coarse = rng.integers(0, steps, (count, classes)) + 0.5
    return labels, coarse / coarse.sum(axis=1, keepdims=True), rng.integers(0, 4, count)


samples = st.builds(sample, st.integers(0, 10**6), st.integers(4, 40), st.integers(2, 4), st.integers(1, 5))


def one_hot(answers: list[int], classes: int) -> np.ndarray:
    return np.eye(classes)[answers]


def rates(labels: np.ndarray, predicted: np.ndarray, classes: list[str], weights: np.ndarray) -> dict[str, float]:
    """Return precision, recall, F1 and specificity as scikit-learn computes them."""
    expected, numbers = {}, range(len(classes))
    scores = {"precision": sk.precision_score, "recall": sk.recall_score, "f1": sk.f1_score}
    for score, function in scores.items():
        options = {"labels": numbers, "zero_division": 0, "sample_weight": weights}
        for average in ("macro", "weighted"):
            expected[f"{average}_{score}"] = function(labels, predicted, average=average, **options)
        each = function(labels, predicted, average=None, **options)
        expected.update({ClassScore(score, name): value for name, value in zip(classes, each, strict=True)})
    specificity = [sk.recall_score(labels != c, predicted != c, sample_weight=weights) for c in numbers]
    expected.update({ClassScore("specificity", name): value for name, value in zip(classes, specificity, strict=True)})
    support = [weights[labels == c].sum() for c in numbers]
    expected["macro_specificity"] = np.mean(specificity)
    expected["weighted_specificity"] = np.average(specificity, weights=support)
    return expected


def by_scikit_learn(
    labels: np.ndarray, probabilities: np.ndarray, classes: list[str], weights: np.ndarray
) -> dict[str, float]:
    """Return every score for ordered classes that all have images."""
    predicted, numbers = probabilities.argmax(axis=1), range(len(classes))
    options = {"sample_weight": weights}
    areas = [sk.roc_auc_score(labels == c, probabilities[:, c], **options) for c in numbers]
    precisions = [sk.average_precision_score(labels == c, probabilities[:, c], **options) for c in numbers]
    brier = sk.brier_score_loss if len(classes) == 2 else None
    squares = ((probabilities - np.eye(len(classes))[labels]) ** 2).sum(axis=1)
    return {
        "accuracy": sk.accuracy_score(labels, predicted, **options),
        "balanced_accuracy": sk.balanced_accuracy_score(labels, predicted, **options),
        "log_loss": sk.log_loss(labels, probabilities, labels=numbers, **options),
        "brier": 2 * brier(labels, probabilities[:, 1], **options) if brier else np.average(squares, weights=weights),
        **rates(labels, predicted, classes, weights),
        "cohen_kappa": sk.cohen_kappa_score(labels, predicted, labels=numbers, **options),
        "quadratic_weighted_kappa": sk.cohen_kappa_score(
            labels, predicted, labels=numbers, weights="quadratic", **options
        ),
        "matthews_correlation": sk.matthews_corrcoef(labels, predicted, **options),
        "mean_absolute_grade_error": sk.mean_absolute_error(labels, predicted, **options),
        "roc_auc": np.mean(areas),
        "macro_average_precision": np.mean(precisions),
        **{ClassScore("roc_auc", name): area for name, area in zip(classes, areas, strict=True)},
        **{ClassScore("average_precision", name): value for name, value in zip(classes, precisions, strict=True)},
    }


@few_examples
@given(samples)
def test_scores_equal_scikit_learn(drawn: Drawn) -> None:
    labels, probabilities, _ = drawn
    classes = NAMES[: probabilities.shape[1]]
    found = all_metrics(labels, probabilities, classes, ordered=True)
    support = {ClassScore("support", name): (labels == c).sum() for c, name in enumerate(classes)}
    expected = by_scikit_learn(labels, probabilities, classes, np.ones(len(labels)))
    assert found == pytest.approx({**expected, **support})


@few_examples
@given(samples)
def test_weighted_scores_equal_scikit_learn(drawn: Drawn) -> None:
    labels, probabilities, weights = drawn
    weights = np.where(np.isin(np.arange(len(labels)), np.unique(labels, return_index=True)[1]), weights + 1, weights)
    classes = NAMES[: probabilities.shape[1]]
    found = scores_of(Sample(labels, probabilities, classes, True, weights[None].astype(float)))
    expected = by_scikit_learn(labels, probabilities, classes, weights)
    assert {name: values[0] for name, values in found.items()} == pytest.approx(expected)


@few_examples
@given(samples, st.data())
def test_a_weight_equals_that_many_copies_of_an_image(drawn: Drawn, data: st.DataObject) -> None:
    labels, probabilities, weights = drawn
    weights[data.draw(st.integers(0, len(labels) - 1))] += 1
    classes = NAMES[: probabilities.shape[1]]
    weighted = scores_of(Sample(labels, probabilities, classes, True, weights[None].astype(float)))
    copies = np.repeat(np.arange(len(labels)), weights)
    copied = scores_of(Sample(labels[copies], probabilities[copies], classes, True, np.ones((1, len(copies)))))
    for name, values in copied.items():
        assert weighted[name] == pytest.approx(values, nan_ok=True), name


def test_roc_auc_of_three_classes_is_one_against_rest() -> None:
    labels, probabilities, _ = sample(3, 30, 3, 5)
    area = all_metrics(labels, probabilities, NAMES[:3])["roc_auc"]
    assert area == pytest.approx(sk.roc_auc_score(labels, probabilities, multi_class="ovr", average="macro"))


def test_roc_auc_of_two_classes_is_that_of_the_second() -> None:
    labels, probabilities, _ = sample(1, 30, 2, 5)
    found = all_metrics(labels, probabilities, NAMES[:2])
    area = sk.roc_auc_score(labels, probabilities[:, 1])
    assert [
        found[name] for name in ("roc_auc", ClassScore("roc_auc", "normal"), ClassScore("roc_auc", "osteopenia"))
    ] == pytest.approx([area] * 3)


def test_unordered_classes_have_no_grade_scores() -> None:
    labels, probabilities, _ = sample(1, 30, 3, 5)
    graded = set(all_metrics(labels, probabilities, NAMES[:3], ordered=True))
    assert graded - set(all_metrics(labels, probabilities, NAMES[:3])) == {
        "quadratic_weighted_kappa",
        "mean_absolute_grade_error",
    }


def test_an_error_of_two_grades_counts_more_than_one() -> None:
    labels = np.array([0, 0, 1, 1, 2, 2])
    near, far = (all_metrics(labels, one_hot([answer, 0, 1, 1, 2, 2], 3), NAMES[:3], True) for answer in (1, 2))
    assert near["accuracy"] == far["accuracy"]
    assert near["quadratic_weighted_kappa"] > far["quadratic_weighted_kappa"]
    assert (near["mean_absolute_grade_error"], far["mean_absolute_grade_error"]) == pytest.approx((1 / 6, 2 / 6))


def test_score_names_are_unique() -> None:
    labels, probabilities, _ = sample(1, 30, 4, 5)
    drawn = Sample(labels, probabilities, NAMES, True, np.ones((1, 30)))
    names = [name for metric in METRICS for name, _ in metric(drawn)]
    assert len(names) == len(set(names))


# Where scikit-learn warns


def test_a_class_without_images_leaves_other_scores_defined() -> None:
    labels = np.array([0, 0, 1, 1])
    scores = all_metrics(labels, one_hot([0, 1, 1, 1], 3), NAMES[:3], True)
    undefined = {"precision", "recall", "f1", "roc_auc", "average_precision"}
    expected = {ClassScore(name, "osteoporosis") for name in undefined} | {"roc_auc", "macro_average_precision"}
    assert {name for name, value in scores.items() if np.isnan(value)} == expected
    assert scores["balanced_accuracy"] == scores["macro_recall"] == pytest.approx((0.5 + 1) / 2)
    assert (scores[ClassScore("support", "osteoporosis")], scores[ClassScore("specificity", "osteoporosis")]) == (0, 1)


def test_predicting_a_class_without_images_is_wrong() -> None:
    scores = all_metrics(np.array([0, 1]), one_hot([0, 2], 3), NAMES[:3])
    assert (scores[ClassScore("precision", "osteoporosis")], scores[ClassScore("f1", "osteoporosis")]) == (0, 0)
    assert np.isnan(scores[ClassScore("recall", "osteoporosis")])
    assert scores[ClassScore("specificity", "osteoporosis")] == 0.5
    assert scores["macro_f1"] == 0.5


def test_a_class_never_predicted_has_precision_0() -> None:
    scores = all_metrics(np.array([0, 0, 1]), one_hot([0, 0, 0], 2), NAMES[:2])
    assert (scores[ClassScore("precision", "osteopenia")], scores["macro_precision"]) == (0, pytest.approx(1 / 3))


def test_predicting_one_class_is_a_collapse_at_chance_level() -> None:
    labels, answers = np.array([0, 1, 2, 2]), one_hot([2, 2, 2, 2], 3)
    scores = all_metrics(labels, answers, NAMES[:3], True)
    assert collapsed(answers)
    assert scores["balanced_accuracy"] == pytest.approx(1 / 3)
    chance = ("cohen_kappa", "quadratic_weighted_kappa", "matthews_correlation")
    assert [scores[name] for name in chance] == [0, 0, 0]
    assert scores["roc_auc"] == 0.5
    assert scores[ClassScore("average_precision", "osteoporosis")] == 0.5


def test_two_predicted_classes_are_no_collapse() -> None:
    assert not collapsed(one_hot([2, 2, 2, 1], 3))


def test_a_single_image_has_scores() -> None:
    scores = all_metrics(np.array([1]), np.array([[0.1, 0.8, 0.1]]), NAMES[:3], True)
    assert (scores["accuracy"], scores["balanced_accuracy"], scores["macro_f1"]) == (1, 1, 1)
    assert scores["log_loss"] == pytest.approx(-np.log(0.8))
    assert scores["brier"] == pytest.approx(0.2**2 + 2 * 0.1**2)
    assert scores[ClassScore("average_precision", "osteopenia")] == 1
    undefined = (
        ClassScore("specificity", "osteopenia"),
        "macro_specificity",
        "cohen_kappa",
        "matthews_correlation",
        "roc_auc",
    )
    assert np.isnan([scores[name] for name in undefined]).all()


def test_correlation_with_constant_labels_is_undefined() -> None:
    scores = all_metrics(np.array([1, 1, 1]), one_hot([1, 0, 1], 2), NAMES[:2])
    assert np.isnan(scores["matthews_correlation"])
    assert scores["cohen_kappa"] == 0


def test_ties_predict_the_first_class() -> None:
    scores = all_metrics(np.array([0, 1]), np.full((2, 2), 0.5), NAMES[:2])
    assert (scores[ClassScore("recall", "normal")], scores[ClassScore("recall", "osteopenia")]) == (1, 0)


def test_log_loss_of_a_certain_error_is_finite() -> None:
    assert all_metrics(np.array([0, 1]), one_hot([0, 0], 2), NAMES[:2])["log_loss"] == pytest.approx(18.02, abs=0.01)


# Other functions


@few_examples
@given(samples)
def test_balanced_accuracy_equals_scikit_learn(drawn: Drawn) -> None:
    labels, probabilities, _ = drawn
    predicted = probabilities.argmax(axis=1)
    found = balanced_accuracy(labels, predicted, probabilities.shape[1])
    assert found == pytest.approx(sk.balanced_accuracy_score(labels, predicted))


def test_confusion_counts_every_image_once() -> None:
    labels, probabilities, _ = sample(2, 30, 4, 5)
    counts = confusion_counts(labels, probabilities, NAMES)
    assert [sum(row.values()) for row in counts.values()] == list(np.bincount(labels))
    assert counts["normal"][NAMES[3]] == ((labels == 0) & (probabilities.argmax(axis=1) == 3)).sum()
