"""The numbers: each is scikit-learn's, in the class map's order, with intervals over patients."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from bonexray.config import Evaluate
from bonexray.data.folds import FIRST
from bonexray.data.predictions import read_predictions, write_predictions
from bonexray.evaluation.evaluate import evaluate
from bonexray.evaluation.metrics import (
    all_metrics,
    balanced_accuracy,
    collapsed,
    confusion_counts,
    majority_baseline,
)
from bonexray.evaluation.statistics import bootstrap_intervals

NAMES = ["normal", "osteopenia", "osteoporosis", "fracture"]
SETTINGS = Evaluate(resamples=200, confidence=0.95, seed=7)
few_examples = settings(max_examples=40, deadline=None, derandomize=True)


def sample(seed: int, count: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels with every class in them and probabilities."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.concatenate([np.arange(classes), rng.integers(0, classes, count - classes)]))
    return labels, rng.dirichlet(np.ones(classes), count)


samples = st.builds(sample, st.integers(0, 10**6), st.integers(4, 40), st.integers(2, 4))


def one_hot(answers: list[int], classes: int) -> np.ndarray:
    return np.eye(classes)[answers]


# Scores


@few_examples
@given(samples)
def test_every_score_is_that_of_scikit_learn(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    labels, probabilities = drawn
    classes = NAMES[: probabilities.shape[1]]
    numbers, predicted = range(len(classes)), probabilities.argmax(axis=1)
    expected = {
        "accuracy": sk.accuracy_score(labels, predicted),
        "balanced_accuracy": sk.balanced_accuracy_score(labels, predicted),
        "log_loss": sk.log_loss(labels, probabilities, labels=numbers),
        "roc_auc": np.mean([sk.roc_auc_score(labels == c, probabilities[:, c]) for c in numbers]),
    }
    if len(classes) > 2:
        expected["roc_auc"] = sk.roc_auc_score(labels, probabilities, multi_class="ovr", average="macro")
    scores = {"precision": sk.precision_score, "recall": sk.recall_score, "f1": sk.f1_score}
    for score, function in scores.items():
        for average in ("macro", "weighted"):
            expected[f"{average}_{score}"] = function(
                labels, predicted, labels=numbers, average=average, zero_division=0
            )
        for name, value in zip(
            classes, function(labels, predicted, labels=numbers, average=None, zero_division=0), strict=True
        ):
            expected[f"{score}_{name}"] = value
    for c, name in enumerate(classes):
        expected[f"specificity_{name}"] = sk.recall_score(labels != c, predicted != c, zero_division=0)
        expected[f"support_{name}"] = (labels == c).sum()
    assert all_metrics(labels, probabilities, classes) == pytest.approx(expected)


def test_two_classes_have_the_area_of_the_second_ones_probability() -> None:
    labels, probabilities = sample(1, 30, 2)
    area = all_metrics(labels, probabilities, NAMES[:2])["roc_auc"]
    assert area == pytest.approx(sk.roc_auc_score(labels, probabilities[:, 1]))


def test_a_class_absent_from_test_has_no_recall_but_spoils_no_other_score() -> None:
    labels = np.array([0, 0, 1, 1])
    scores = all_metrics(labels, one_hot([0, 1, 1, 1], 3), NAMES[:3])
    assert scores["balanced_accuracy"] == pytest.approx((0.5 + 1) / 2)
    assert np.isnan(scores["roc_auc"])
    assert (scores["recall_osteoporosis"], scores["support_osteoporosis"]) == (0, 0)
    assert scores["specificity_osteoporosis"] == 1
    assert np.isfinite(scores["log_loss"])


def test_one_answer_to_everything_is_a_collapse_with_chance_recall() -> None:
    labels, answers = np.array([0, 1, 2, 2]), one_hot([2, 2, 2, 2], 3)
    assert collapsed(answers)
    assert all_metrics(labels, answers, NAMES[:3])["balanced_accuracy"] == pytest.approx(1 / 3)


def test_two_different_answers_are_no_collapse() -> None:
    assert not collapsed(one_hot([2, 2, 2, 1], 3))


def test_one_image_has_scores() -> None:
    scores = all_metrics(np.array([1]), np.array([[0.1, 0.8, 0.1]]), NAMES[:3])
    assert (scores["accuracy"], scores["balanced_accuracy"]) == (1, 1)
    assert scores["log_loss"] == pytest.approx(-np.log(0.8))
    assert np.isnan(scores["specificity_osteopenia"])


def test_the_baseline_answers_the_majority_of_training_not_of_test() -> None:
    train, test = np.array([0, 0, 0, 1]), np.array([0, 1, 1, 1])
    assert majority_baseline(train, test, 2) == {"baseline_accuracy": 0.25, "baseline_balanced_accuracy": 0.5}


@few_examples
@given(samples)
def test_balanced_accuracy_is_that_of_scikit_learn(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    labels, probabilities = drawn
    predicted = probabilities.argmax(axis=1)
    found = balanced_accuracy(labels, predicted, probabilities.shape[1])
    assert found == pytest.approx(sk.balanced_accuracy_score(labels, predicted))


# Intervals


def intervals(
    labels: np.ndarray, predicted: np.ndarray, groups: np.ndarray, options: Evaluate = SETTINGS
) -> dict[str, float]:
    return bootstrap_intervals(labels, predicted, groups, int(labels.max()) + 1, options)


@few_examples
@given(samples, st.integers(1, 12))
def test_an_interval_contains_its_estimate(drawn: tuple[np.ndarray, np.ndarray], groups: int) -> None:
    labels, probabilities = drawn
    predicted = probabilities.argmax(axis=1)
    found = intervals(labels, predicted, np.arange(len(labels)) % groups)
    estimates = {
        "accuracy": sk.accuracy_score(labels, predicted),
        "balanced_accuracy": sk.balanced_accuracy_score(labels, predicted),
    }
    for name, estimate in estimates.items():
        assert 0 <= found[f"{name}_low"] <= estimate + 1e-12
        assert estimate - 1e-12 <= found[f"{name}_high"] <= 1


def naive_intervals(
    labels: np.ndarray, predicted: np.ndarray, groups: np.ndarray, options: Evaluate
) -> dict[str, float]:
    """Draw groups with replacement, put their images side by side, score; again and again."""
    rng = np.random.default_rng(1)
    members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    scores = []
    for _ in range(options.resamples):
        rows = np.concatenate([members[i] for i in rng.integers(0, len(members), len(members))])
        right = labels[rows] == predicted[rows]
        scores.append((right.mean(), np.mean([right[labels[rows] == c].mean() for c in np.unique(labels[rows])])))
    low, high = np.quantile(scores, [(1 - options.confidence) / 2, (1 + options.confidence) / 2], axis=0)
    return {
        f"{name}_{end}": value
        for end, values in (("low", low), ("high", high))
        for name, value in zip(("accuracy", "balanced_accuracy"), values, strict=True)
    }


def test_intervals_are_those_of_a_plain_loop_over_resampled_groups() -> None:
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 3, 60)
    predicted = np.where(rng.random(60) < 0.6, labels, rng.integers(0, 3, 60))
    groups, options = np.array([f"p{i // 3}" for i in range(60)]), SETTINGS.model_copy(update={"resamples": 3000})
    expected = naive_intervals(labels, predicted, groups, options)
    assert intervals(labels, predicted, groups, options) == pytest.approx(expected, abs=0.02)


def test_copies_of_an_image_within_a_group_do_not_narrow_the_interval() -> None:
    labels, probabilities = sample(5, 24, 2)
    predicted, patients = probabilities.argmax(axis=1), np.arange(24)
    single = intervals(labels, predicted, patients)
    grouped = intervals(*(np.repeat(values, 9) for values in (labels, predicted, patients)))
    ungrouped = intervals(np.repeat(labels, 9), np.repeat(predicted, 9), np.arange(24 * 9))

    def width(found: dict[str, float]) -> float:
        return found["accuracy_high"] - found["accuracy_low"]

    assert grouped == pytest.approx(single)
    assert width(ungrouped) < 0.6 * width(grouped)


def test_intervals_depend_on_the_seed_alone() -> None:
    labels, probabilities = sample(5, 40, 3)
    predicted, groups = probabilities.argmax(axis=1), np.arange(40) // 2
    other = SETTINGS.model_copy(update={"seed": 8})
    assert intervals(labels, predicted, groups) == intervals(labels, predicted, groups)
    assert intervals(labels, predicted, groups) != intervals(labels, predicted, groups, other)


def test_more_confidence_is_a_wider_interval() -> None:
    labels, probabilities = sample(5, 40, 3)
    predicted, groups = probabilities.argmax(axis=1), np.arange(40)
    wide, narrow = (
        intervals(labels, predicted, groups, SETTINGS.model_copy(update={"confidence": c})) for c in (0.99, 0.5)
    )
    assert wide["accuracy_low"] < narrow["accuracy_low"] < narrow["accuracy_high"] < wide["accuracy_high"]


def test_one_group_gives_the_estimate_alone() -> None:
    found = intervals(np.array([0, 1, 1]), np.array([0, 1, 0]), np.array(["p", "p", "p"]))
    assert found["accuracy_low"] == found["accuracy_high"] == pytest.approx(2 / 3)


# The class map's order

UNSORTED = ["osteoporosis", "normal", "osteopenia"]


def predictions() -> tuple[pd.DataFrame, np.ndarray]:
    """Two images of each class and split; on test, one osteoporosis is taken for normal."""
    splits = [split for split in ("train", "val", "test") for _ in range(6)]
    labels = [*UNSORTED, *UNSORTED] * 3
    answers = [UNSORTED.index(label) for label in labels]
    answers[12] = UNSORTED.index("normal")
    rows = pd.DataFrame(
        {
            "id": [f"{i:016x}" for i in range(18)],
            "path": [f"{label}/{i}.png" for i, label in enumerate(labels)],
            "group": [f"p{i:03d}" for i in range(18)],
            "split": splits,
            "label": labels,
            "fold": "",
            "sha256": "0",
        }
    )
    return rows, one_hot(answers, 3) * 0.7 + 0.1


def test_predictions_carry_each_probability_under_its_own_class(tmp_path: Path) -> None:
    rows, probabilities = predictions()
    write_predictions(tmp_path / "p.csv", rows, {FIRST: probabilities}, UNSORTED)
    written = pd.read_csv(tmp_path / "p.csv")
    assert list(written.columns[-3:]) == ["prob_osteoporosis", "prob_normal", "prob_osteopenia"]
    right = [label if i != 12 else "normal" for i, label in enumerate(rows["label"])]
    assert list(written["predicted"]) == right
    assert [written.loc[i, f"prob_{name}"] for i, name in enumerate(right)] == pytest.approx([0.8] * 18)


def test_predictions_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    rows, _ = predictions()
    rows.loc[0, ["group", "id"]] = ["007", "NA"]
    probabilities = np.random.default_rng(7).dirichlet(np.ones(3), 18)
    write_predictions(tmp_path / "p.csv", rows, {FIRST: probabilities}, UNSORTED)
    read, values = read_predictions(tmp_path / "p.csv", UNSORTED)
    assert list(read.loc[0, ["group", "id"]]) == ["007", "NA"]
    assert list(read["label"]) == list(rows["label"])
    assert values == pytest.approx(probabilities, abs=2e-8)
    assert values.sum(axis=1) == pytest.approx(1, abs=1e-12)


def test_evaluation_follows_the_class_map_not_the_alphabet(tmp_path: Path) -> None:
    rows, probabilities = predictions()
    write_predictions(tmp_path / "p.csv", rows, {FIRST: probabilities}, UNSORTED)
    scores = evaluate(*read_predictions(tmp_path / "p.csv", UNSORTED), UNSORTED, SETTINGS)
    assert scores["recall_osteoporosis"] == 0.5
    assert scores["recall_normal"] == scores["recall_osteopenia"] == 1
    assert scores["precision_normal"] == pytest.approx(2 / 3)
    assert scores["confusion"] == {
        "osteoporosis": {"osteoporosis": 1, "normal": 1, "osteopenia": 0},
        "normal": {"osteoporosis": 0, "normal": 2, "osteopenia": 0},
        "osteopenia": {"osteoporosis": 0, "normal": 0, "osteopenia": 2},
    }


def test_the_confusion_counts_every_image_once_by_its_actual_class() -> None:
    labels, probabilities = sample(2, 30, 4)
    counts = confusion_counts(labels, probabilities, NAMES)
    assert [sum(row.values()) for row in counts.values()] == list(np.bincount(labels))
    assert counts["normal"]["fracture"] == ((labels == 0) & (probabilities.argmax(axis=1) == 3)).sum()


def test_evaluation_keeps_the_splits_apart() -> None:
    rows, probabilities = predictions()
    scores = evaluate(rows, probabilities, UNSORTED, SETTINGS)
    assert (scores["n"], scores["n_groups"], scores["val_n"]) == (6, 6, 6)
    assert (scores["accuracy"], scores["val_accuracy"]) == (pytest.approx(5 / 6), 1)
    assert (scores["collapsed"], scores["baseline_accuracy"]) == (0, pytest.approx(1 / 3))


def test_a_collapse_is_told_by_the_test_images() -> None:
    rows, probabilities = predictions()
    probabilities[(rows["split"] == "test").to_numpy()] = [0.8, 0.1, 0.1]
    assert evaluate(rows, probabilities, UNSORTED, SETTINGS)["collapsed"] == 1
