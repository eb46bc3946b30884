"""Prediction sets keep their promise by patient, and accuracy is read by the share of images answered."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta

from bonexray.evaluate.abstention import ANSWERED, accuracy_by_answered
from bonexray.evaluate.bootstrap import draw
from bonexray.evaluate.evaluation import evaluate
from bonexray.evaluate.prediction_sets import conformal_threshold, prediction_set_scores, thresholds_of
from bonexray.evaluate.score_names import ClassScore
from bonexray.evaluate.settings import Evaluate
from bonexray.evaluate.split_predictions import SplitPredictions

CLASSES = ["healthy", "mild", "severe"]


def cases(patients: int, seed: int, images: int = 3, classes: int = 3, fold: int = 1) -> SplitPredictions:
    """Return predictions for up to some images of each patient, whose errors are alike."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(patients), rng.integers(1, images + 1, patients))
    labels = rng.integers(0, classes, patients)[group]
    scores = 1.5 * np.eye(classes)[labels] + rng.standard_normal((patients, classes))[group]
    powers = np.exp(scores + 0.7 * rng.standard_normal(scores.shape))
    rows = pd.DataFrame({"group": [f"{seed}-{number}" for number in group], "fold": fold, "repeat": 1})
    return SplitPredictions(rows, labels, powers / powers.sum(axis=1, keepdims=True))


def covered_patients(predictions: SplitPredictions, sets: np.ndarray) -> float:
    hit = pd.Series(sets[np.arange(len(sets)), predictions.labels])
    return hit.groupby(predictions.groups).all().mean()


# The threshold


@given(
    lowest=st.lists(st.floats(0, 1), min_size=1, max_size=40),
    images=st.integers(1, 3),
    coverage=st.sampled_from([0.5, 0.8, 0.9, 0.95]),
    new=st.floats(0, 1),
)
def test_a_class_is_in_the_set_if_its_conformal_p_value_is_above_what_may_be_missed(
    lowest: list[float], images: int, coverage: float, new: float
) -> None:
    groups = np.tile(np.arange(len(lowest)), images)
    of_truth = np.concatenate([np.minimum(1, np.array(lowest) + 0.1 * n) for n in range(images)])
    p = (1 + sum(patient <= new for patient in lowest)) / (len(lowest) + 1)
    assert (new >= conformal_threshold(of_truth, groups, coverage)) == (p > 1 - coverage + 1e-9)


@pytest.mark.parametrize(
    ("of_truth", "groups", "coverage", "threshold"),
    [
        (np.arange(1, 11) / 10, np.arange(10), 0.9, 0.1),  # rank 10 of 10
        (np.arange(1, 11) / 10, np.arange(10), 0.5, 0.5),  # rank 6
        (np.arange(1, 9) / 10, np.arange(8), 0.9, 0.0),  # rank 9 of 8
        (np.array([0.9, 0.2, 0.8]), np.array([0, 0, 1]), 0.3, 0.8),  # the worst image of each: 0.2, 0.8
        (np.arange(1, 20) / 20, np.arange(19), 0.9, 0.1),  # 20 * 0.9 is a whole rank, 18
    ],
)
def test_thresholds_worked_out_by_hand(of_truth, groups, coverage: float, threshold: float) -> None:
    assert conformal_threshold(of_truth, groups, coverage) == pytest.approx(threshold)


@pytest.mark.parametrize(("patients", "kind"), [(9, None), (12, False), (60, True)])
def test_few_patients_give_no_sets_then_one_threshold_then_one_for_each_class(patients: int, kind: bool | None) -> None:
    thresholds = thresholds_of(cases(patients, 7), 0.9)
    assert (thresholds and thresholds.by_class) == kind
    assert kind is None or (len(set(thresholds.values)) > 1) == kind


# The promise


@pytest.mark.parametrize(("coverage", "patients", "by_class"), [(0.9, 25, False), (0.9, 80, True), (0.8, 40, True)])
def test_over_300_studies_patients_are_covered_as_promised(coverage: float, patients: int, by_class: bool) -> None:
    reached, of_classes = [], []
    for seed in range(300):
        val, test = cases(patients, 2 * seed), cases(100, 2 * seed + 1)
        sets = thresholds_of(val, coverage).sets(test.probabilities)
        reached.append(covered_patients(test, sets))
        for label in range(3):
            mine = test.labels == label
            part = SplitPredictions(test.rows[mine], test.labels[mine], test.probabilities[mine])
            of_classes.append((label, covered_patients(part, sets[mine])))
    assert np.mean(reached) >= coverage - 0.015
    if by_class:
        means = pd.DataFrame(of_classes, columns=["class", "covered"]).groupby("class")["covered"].mean()
        assert (means >= coverage - 0.015).all()
    else:
        assert np.mean(reached) <= coverage + 1 / (patients + 1) + 0.015


def test_images_counted_as_if_they_were_patients_would_break_the_promise() -> None:
    reached = []
    for seed in range(100):
        val, test = cases(60, 2 * seed), cases(100, 2 * seed + 1)
        of_truth = val.probabilities[np.arange(len(val.labels)), val.labels]
        sets = test.probabilities >= conformal_threshold(of_truth, np.arange(len(of_truth)), 0.9)
        reached.append(covered_patients(test, sets))
    assert np.mean(reached) < 0.875


# The scores


def test_scores_are_counts_of_the_sets() -> None:
    val, test = cases(90, 1), cases(70, 2)
    scores = prediction_set_scores(val, test, CLASSES, 0.8, 0.95)
    thresholds = thresholds_of(val, 0.8)
    sets = np.array([[p >= t for p, t in zip(row, thresholds.values, strict=True)] for row in test.probabilities])
    size = sets.sum(axis=1)
    assert scores["set_promised"] == 0.8 and scores["set_by_class"] == 1
    assert (scores["set_val_patients"], scores["set_patients"]) == (90, 70)
    assert scores["set_coverage"] == pytest.approx(covered_patients(test, sets))
    hits = round(scores["set_coverage"] * 70)
    assert scores["set_coverage_low"] == pytest.approx(beta.ppf(0.025, hits, 71 - hits))
    assert scores["set_coverage_high"] == pytest.approx(beta.ppf(0.975, hits + 1, 70 - hits))
    assert scores["set_size"] == pytest.approx(size.mean())
    for name, count in (("set_single", 1), ("set_empty", 0), ("set_all", 3)):
        assert scores[name] == pytest.approx((size == count).mean())
    mild = test.labels == 1
    part = SplitPredictions(test.rows[mild], test.labels[mild], test.probabilities[mild])
    assert scores[ClassScore("set_coverage", "mild")] == pytest.approx(covered_patients(part, sets[mild]))


def test_a_model_that_is_sure_has_sets_of_one_and_one_that_knows_nothing_has_sets_of_all() -> None:
    val, test = cases(60, 1), cases(60, 2)
    sure = [SplitPredictions(part.rows, part.labels, np.eye(3)[part.labels]) for part in (val, test)]
    blind = [SplitPredictions(part.rows, part.labels, np.full((len(part.labels), 3), 1 / 3)) for part in (val, test)]
    for pair, name in ((sure, "set_single"), (blind, "set_all")):
        scores = prediction_set_scores(*pair, CLASSES, 0.9, 0.95)
        assert scores[name] == scores["set_coverage"] == scores["set_coverage_high"] == 1
        assert 0.9 < scores["set_coverage_low"] < 1


def test_each_fold_is_calibrated_on_its_own_validation_patients() -> None:
    val = [cases(30, 1, fold=1), cases(30, 2, fold=2)]
    test = [cases(30, 3, fold=1), cases(30, 4, fold=2)]
    joined = [
        SplitPredictions(
            pd.concat([part.rows for part in parts], ignore_index=True),
            np.concatenate([part.labels for part in parts]),
            np.concatenate([part.probabilities for part in parts]),
        )
        for parts in (val, test)
    ]
    scores = prediction_set_scores(*joined, CLASSES, 0.8, 0.95)
    each = [prediction_set_scores(v, t, CLASSES, 0.8, 0.95) for v, t in zip(val, test, strict=True)]
    assert scores["set_coverage"] == pytest.approx(np.mean([one["set_coverage"] for one in each]))
    assert scores["set_val_patients"] == 30
    apart = thresholds_of(val[0], 0.8).values, thresholds_of(val[1], 0.8).values
    assert not np.array_equal(*apart)


def test_without_a_promise_or_with_few_patients_there_are_no_sets() -> None:
    val, test = cases(9, 1), cases(30, 2)
    assert prediction_set_scores(val, test, CLASSES, None, 0.95) == {}
    assert prediction_set_scores(val, test, CLASSES, 0.9, 0.95) == {"set_promised": 0.9, "set_val_patients": 9}


def test_no_test_label_moves_a_threshold() -> None:
    parts = {split: cases(40, seed) for seed, split in enumerate(("train", "val", "test"))}
    rows = pd.concat([part.rows.assign(split=split) for split, part in parts.items()], ignore_index=True)
    rows["label"] = np.array(CLASSES)[np.concatenate([part.labels for part in parts.values()])]
    rows = rows.assign(id=[str(number) for number in range(len(rows))], path="")
    probabilities = np.concatenate([part.probabilities for part in parts.values()])
    spoilt = rows.assign(label=np.where(rows["split"] == "test", "mild", rows["label"]))
    options = Evaluate(resamples=100, coverage=0.7)
    before, after = (
        evaluate(table, probabilities, CLASSES, options, False, "train").scores for table in (rows, spoilt)
    )
    assert before["set_size"] == after["set_size"] and before["set_coverage"] != after["set_coverage"]


# Abstention


def test_accuracy_by_answered_share_is_that_of_the_surest_images() -> None:
    predictions = cases(200, 5, images=1)
    labels, probabilities = predictions.labels, predictions.probabilities
    draws = draw(predictions.groups, 200, 7)
    table = accuracy_by_answered(labels, probabilities, draws, 0.95)
    right = (probabilities.argmax(axis=1) == labels)[np.argsort(-probabilities.max(axis=1))]
    for answered, accuracy in zip(table["answered"], table["accuracy"], strict=True):
        assert accuracy == pytest.approx(right[: round(answered * 200)].mean())
    assert list(table["answered"]) == list(ANSWERED)
    assert (table["low"] <= table["accuracy"]).all() and (table["accuracy"] <= table["high"]).all()
    coarse = table["accuracy"].to_numpy()[::12]
    assert all(later <= earlier for earlier, later in pairwise(coarse)), "the surest are right the most often"
