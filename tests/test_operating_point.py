"""A threshold is fixed on validation and scored once on test, patient by patient, with exact intervals."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from trainings import UNSORTED, predictions_of_trainings

from bonexray.check import settings_findings
from bonexray.evaluate.evaluation import evaluate
from bonexray.evaluate.operating_point import THRESHOLDS, decision_curve, exact, rates, threshold_of
from bonexray.evaluate.settings import Evaluate, evaluate_findings, positive_classes
from bonexray.study import load_settings

ROOT = Path(__file__).resolve().parents[1]
GRADES = ["normal", "osteopenia", "osteoporosis"]
SETTINGS = Evaluate(resamples=100, sensitivity=0.8, positive="osteopenia")


@pytest.mark.parametrize(
    ("scores", "sensitivity", "threshold"),
    [
        ([0.1, 0.2, 0.3, 0.4, 0.5], 0.8, 0.2),
        ([0.1, 0.2, 0.3, 0.4, 0.5], 0.81, 0.1),
        ([0.5, 0.5, 0.1], 0.6, 0.5),
        ([0.7], 0.9, 0.7),
        (np.arange(1, 11) / 10, 0.9, 0.2),
    ],
)
def test_the_threshold_is_the_highest_that_is_sensitive_enough(scores, sensitivity: float, threshold: float) -> None:
    scores = np.array(scores)
    assert threshold_of(scores, sensitivity) == threshold
    assert (scores >= threshold).mean() >= sensitivity - 1e-9
    higher = scores[scores > threshold]
    assert not len(higher) or (scores >= higher.min()).mean() < sensitivity


def test_the_threshold_of_each_fold_is_from_its_own_validation_images() -> None:
    rows, probabilities = predictions_of_trainings(3, 1)
    before = evaluate(rows, probabilities, UNSORTED, SETTINGS, False, "train").scores
    test = rows["split"] == "test"
    spoilt = rows.assign(label=np.where(test, "normal", rows["label"]))
    spoilt.loc[rows.index[test][:4], "label"] = "osteopenia"
    after = evaluate(spoilt, probabilities, UNSORTED, SETTINGS, False, "train").scores
    assert after["operating_threshold"] == before["operating_threshold"]
    assert after["operating_sensitivity"] != before["operating_sensitivity"]
    assert before["val_operating_sensitivity"] >= 0.8


def test_patients_are_counted_by_the_threshold_of_their_fold() -> None:
    rows, probabilities = predictions_of_trainings(3, 1)
    scores = evaluate(rows, probabilities, UNSORTED, SETTINGS, False, "train").scores
    column, right, wrong, positives = UNSORTED.index("osteopenia"), 0, 0, 0
    for _, block in rows.assign(score=probabilities[:, column]).groupby("fold"):
        patients = block.groupby(["split", "group", "label"], as_index=False)["score"].mean()
        val, test = (patients[patients["split"] == split] for split in ("val", "test"))
        threshold = threshold_of(val.loc[val["label"] == "osteopenia", "score"].to_numpy(), 0.8)
        called, truth = test["score"] >= threshold, test["label"] == "osteopenia"
        right, wrong, positives = (
            right + (called & truth).sum(),
            wrong + (called & ~truth).sum(),
            positives + truth.sum(),
        )
    assert (scores["operating_n"], scores["operating_positives"]) == (18, positives)
    assert scores["operating_sensitivity"] == pytest.approx(right / positives)
    assert scores["operating_specificity"] == pytest.approx(1 - wrong / (18 - positives))
    assert scores["operating_ppv"] == pytest.approx(right / (right + wrong))


def test_a_fold_without_positive_validation_patients_has_no_operating_point() -> None:
    rows, probabilities = predictions_of_trainings(3, 1)
    rows.loc[(rows["fold"] == 2) & (rows["split"] == "val"), "label"] = "normal"
    scores = evaluate(rows, probabilities, UNSORTED, SETTINGS, False, "train").scores
    assert np.isnan([scores["operating_threshold"], scores["operating_sensitivity"], scores["operating_npv_low"]]).all()


def test_the_threshold_is_one_of_the_models_own_probability() -> None:
    rows, probabilities = predictions_of_trainings(3, 1)
    rows.loc[(rows["split"] == "train") & (rows.index % 3 > 0), "label"] = "normal"
    own, right = (evaluate(rows, probabilities, UNSORTED, SETTINGS, False, kind) for kind in ("train", "uniform"))
    assert own.operating_point.scores == right.operating_point.scores
    assert not own.operating_point.curve.equals(right.operating_point.curve)


def test_there_is_no_operating_point_unless_it_is_asked_for() -> None:
    evaluation = evaluate(*predictions_of_trainings(3, 1), UNSORTED, Evaluate(resamples=100), False, "train")
    assert evaluation.operating_point is None
    assert not [name for name in evaluation.scores if "operating" in name]


# Rates


@pytest.mark.parametrize(
    ("successes", "cases", "low", "high"),  # Clopper and Pearson 1934
    [(11, 11, 0.7151, 1), (0, 10, 0, 0.3085), (5, 10, 0.1871, 0.8129), (81, 263, 0.2527, 0.3676)],
)
def test_intervals_of_proportions_are_exact(successes: int, cases: int, low: float, high: float) -> None:
    assert exact(successes, cases, 0.95) == pytest.approx((successes / cases, low, high), abs=1e-4)


def test_predictive_values_follow_from_the_prevalence() -> None:
    truth, called = np.arange(100) < 50, np.arange(100) % 50 < np.where(np.arange(100) < 50, 45, 10)
    found = rates(truth, called, 0.01, 0.95)
    assert found["sensitivity"][0] == 0.9 and found["specificity"][0] == 0.8
    assert found["ppv"][0] == pytest.approx(0.01 * 0.9 / (0.01 * 0.9 + 0.99 * 0.2))
    assert found["npv"][0] == pytest.approx(0.99 * 0.8 / (0.99 * 0.8 + 0.01 * 0.1))
    sample, stated = rates(truth, called, None, 0.95), rates(truth, called, 0.5, 0.95)
    assert [sample[name][0] for name in sample] == pytest.approx([stated[name][0] for name in stated])


def test_intervals_of_predictive_values_hold_at_a_stated_prevalence() -> None:
    rng, prevalence, truth = np.random.default_rng(7), 0.05, np.arange(60) < 20
    actual = 0.05 * 0.9 / (0.05 * 0.9 + 0.95 * 0.3)
    held = []
    for _ in range(300):
        _, low, high = rates(truth, rng.random(60) < np.where(truth, 0.9, 0.3), prevalence, 0.95)["ppv"]
        held.append(low <= actual <= high)
    assert np.mean(held) >= 0.93


def test_net_benefit_weighs_false_positives_by_the_odds_of_the_threshold() -> None:
    rng = np.random.default_rng(7)
    truth, risk = rng.random(200) < 0.3, rng.random(200)
    curve = decision_curve(truth, risk)
    for row in curve.itertuples():
        treated = risk >= row.threshold
        odds = row.threshold / (1 - row.threshold)
        assert row.model == pytest.approx((truth & treated).mean() - (~truth & treated).mean() * odds)
    assert list(curve["threshold"]) == list(THRESHOLDS) and (curve["none"] == 0).all()
    everyone = decision_curve(truth, np.ones(200))
    assert everyone["model"].to_numpy() == pytest.approx(everyone["all"].to_numpy())
    stated = decision_curve(truth, risk, float(truth.mean()))
    pd.testing.assert_frame_equal(stated, curve)


# Settings


@pytest.mark.parametrize(
    ("options", "ordered", "positive"),
    [
        ({}, False, []),
        ({"sensitivity": 0.9, "positive": "osteopenia"}, False, [1]),
        ({"sensitivity": 0.9, "positive": "osteopenia"}, True, [1, 2]),
        ({"sensitivity": 0.9, "positive": "osteoporosis"}, True, [2]),
    ],
)
def test_positive_are_a_class_or_a_grade_and_those_above(options: dict, ordered: bool, positive: list[int]) -> None:
    assert positive_classes(Evaluate(**options), GRADES, ordered) == positive


def test_of_two_classes_the_second_is_positive() -> None:
    settings = Evaluate(sensitivity=0.9)
    assert positive_classes(settings, ["whole", "fractured"], False) == [1]
    assert not list(evaluate_findings(settings, ["whole", "fractured"], False))


@pytest.mark.parametrize(
    "options",
    [
        {"sensitivity": 0.0},
        {"sensitivity": 1.0},
        {"positive": "normal"},
        {"prevalence": {"normal": 0.5, "osteopenia": 0.3, "osteoporosis": 0.3}},
        {"prevalence": {"normal": 1.0, "osteopenia": 0.0, "osteoporosis": 0.0}},
        {"unit": "study"},
    ],
)
def test_settings_that_are_wrong_for_any_classes_are_refused(options: dict) -> None:
    with pytest.raises(ValidationError):
        Evaluate(**options)


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"sensitivity": 0.9, "positive": "fracture"}, "evaluate.positive"),
        ({"sensitivity": 0.9}, "evaluate.positive"),
        ({"sensitivity": 0.9, "positive": "normal"}, "evaluate.positive"),
        ({"prevalence": {"normal": 0.5, "osteopenia": 0.5}}, "evaluate.prevalence"),
        ({"prevalence": {"normal": 0.5, "osteopenia": 0.3, "fracture": 0.2}}, "evaluate.prevalence"),
    ],
)
def test_settings_that_do_not_fit_the_classes_are_refused_before_any_work(options: dict, key: str) -> None:
    settings = load_settings(ROOT / "params.yaml")
    dataset = settings.dataset.model_copy(update={"classes": GRADES, "ordered": True})
    changed = settings.model_copy(update={"evaluate": Evaluate(**options), "dataset": dataset})
    assert [finding.what for finding in settings_findings(changed)] == [key]
