"""Intervals over patients: as a plain loop over resampled groups gives them, of every score, and around it."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from bonexray.evaluation import bootstrap
from bonexray.evaluation.bootstrap import (
    bounds,
    draw_weights,
    expanded_tail,
    intervals,
    resampled_metrics,
    standard_error,
)
from bonexray.evaluation.metrics import all_metrics

NAMES = ["normal", "osteopenia", "osteoporosis"]
few_examples = settings(max_examples=40, deadline=None, derandomize=True)


def cohort(seed: int, count: int, groups: int, classes: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, probabilities that know something of them, and groups of about equal size."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, count)
    probabilities = rng.dirichlet(np.ones(classes), count) + 0.5 * np.eye(classes)[labels]
    return labels, probabilities / 1.5, np.array([f"p{number % groups}" for number in range(count)])


def found(
    drawn: tuple[np.ndarray, np.ndarray, np.ndarray], confidence: float = 0.95, seed: int = 7
) -> dict[str, float]:
    labels, probabilities, groups = drawn
    weights = draw_weights(groups, 200, seed)
    resampled = resampled_metrics(labels, probabilities, weights, NAMES[: probabilities.shape[1]], True)
    return intervals(resampled, confidence, len(np.unique(groups)))


# Draws


@few_examples
@given(st.lists(st.integers(0, 5), min_size=1, max_size=30), st.integers(0, 100))
def test_whole_groups_are_drawn_as_often_as_there_are_groups(members: list[int], seed: int) -> None:
    groups = np.array(members)
    weights = draw_weights(groups, 20, seed)
    first = np.unique(groups, return_index=True)[1]
    assert (weights[0] == 1).all()
    assert (weights[:, first].sum(axis=1) == len(first)).all()
    for group in first:
        assert (weights[:, groups == groups[group]] == weights[:, [group]]).all()


def test_every_group_is_drawn_equally_often() -> None:
    weights = draw_weights(np.arange(10), 4000, 7)[1:]
    assert weights.mean(axis=0) == pytest.approx(np.ones(10), abs=0.06)
    assert weights.var(axis=0) == pytest.approx(np.full(10, 0.9), abs=0.1)


def test_draws_depend_on_the_seed_and_on_who_shares_a_group_alone() -> None:
    groups = np.array(["a", "b", "a", "c"])
    same = draw_weights(np.array(["x", "y", "x", "z"]), 50, 7)
    assert (draw_weights(groups, 50, 7) == same).all()
    assert (draw_weights(groups, 50, 8) != same).any()


# Resampled scores


@few_examples
@given(st.integers(0, 10**6), st.integers(5, 30), st.integers(1, 12))
def test_a_resample_scores_as_its_images_side_by_side_would(seed: int, count: int, groups: int) -> None:
    labels, probabilities, members = cohort(seed, count, groups)
    weights = draw_weights(members, 5, seed)
    resampled = resampled_metrics(labels, probabilities, weights, NAMES, True)
    for row, drawn in enumerate(weights):
        copies = np.repeat(np.arange(count), drawn)
        expected = all_metrics(labels[copies], probabilities[copies], NAMES, True)
        for name, values in resampled.items():
            assert values[row] == pytest.approx(expected[name], nan_ok=True), name


def test_scores_are_the_same_in_however_many_parts_they_are_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    labels, probabilities, groups = cohort(1, 30, 15)
    weights = draw_weights(groups, 50, 7)
    whole = resampled_metrics(labels, probabilities, weights, NAMES)
    monkeypatch.setattr(bootstrap, "AT_ONCE", 200)
    parts = resampled_metrics(labels, probabilities, weights, NAMES)
    for name, values in whole.items():
        assert parts[name] == pytest.approx(values, nan_ok=True)


def test_all_scores_of_a_thousand_images_take_two_seconds() -> None:
    labels, probabilities, groups = cohort(1, 1000, 500)
    started = time.process_time()
    resampled_metrics(labels, probabilities, draw_weights(groups, 2000, 7), NAMES, True)
    assert time.process_time() - started < 4  # 0.5 s of a free core: what is left is for a busy one


# Intervals


@few_examples
@given(st.integers(0, 10**6), st.integers(1, 40), st.integers(1, 12), st.integers(2, 3))
def test_an_interval_contains_its_estimate(seed: int, count: int, groups: int, classes: int) -> None:
    labels, probabilities, members = cohort(seed, count, groups, classes)
    ends = found((labels, probabilities, members))
    for name, estimate in all_metrics(labels, probabilities, NAMES[:classes], True).items():
        if not name.startswith("support_"):
            assert np.isnan(ends[f"{name}_low"]) == np.isnan(ends[f"{name}_high"]) == np.isnan(estimate)
            assert np.isnan(estimate) or ends[f"{name}_low"] - 1e-12 <= estimate <= ends[f"{name}_high"] + 1e-12


def test_intervals_are_those_of_a_plain_loop_over_resampled_groups() -> None:
    labels, probabilities, groups = cohort(3, 60, 20)
    rng = np.random.default_rng(1)
    members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    drawn = [np.concatenate([members[i] for i in rng.integers(0, 20, 20)]) for _ in range(1500)]
    scores = [all_metrics(labels[rows], probabilities[rows], NAMES) for rows in drawn]
    tail = stats.norm.cdf(np.sqrt(20 / 19) * stats.t.ppf(0.025, 19))
    ends = intervals(resampled_metrics(labels, probabilities, draw_weights(groups, 1500, 7), NAMES), 0.95, 20)
    for name in ("accuracy", "balanced_accuracy", "macro_f1", "roc_auc", "brier", "cohen_kappa"):
        expected = np.quantile([score[name] for score in scores], [tail, 1 - tail])
        assert (ends[f"{name}_low"], ends[f"{name}_high"]) == pytest.approx(tuple(expected), abs=0.035), name


def test_the_interval_of_a_mean_is_as_wide_as_students() -> None:
    values = np.random.default_rng(1).normal(size=12)
    weights = draw_weights(np.arange(12), 40_000, 7)
    low, high = bounds(weights @ values / 12, 0.95, 12)
    width = 2 * stats.t.ppf(0.975, 11) * values.std(ddof=1) / np.sqrt(12)
    assert high - low == pytest.approx(width, rel=0.05)
    assert standard_error(weights @ values / 12, 12) == pytest.approx(values.std(ddof=1) / np.sqrt(12), rel=0.03)


def test_many_groups_leave_the_plain_percentiles() -> None:
    assert expanded_tail(0.95, 100_000) == pytest.approx(0.025, rel=1e-3)
    assert expanded_tail(0.95, 20) < 0.02


def test_copies_of_an_image_within_a_group_do_not_narrow_the_interval() -> None:
    labels, probabilities, _ = cohort(5, 24, 24, 2)
    single = found((labels, probabilities, np.arange(24)))
    many = np.repeat(labels, 9), np.repeat(probabilities, 9, axis=0)
    grouped, ungrouped = found((*many, np.repeat(np.arange(24), 9))), found((*many, np.arange(24 * 9)))

    def width(ends: dict[str, float]) -> float:
        return ends["accuracy_high"] - ends["accuracy_low"]

    assert grouped == pytest.approx(single, nan_ok=True)
    assert width(ungrouped) < 0.6 * width(grouped)


def test_more_confidence_is_a_wider_interval() -> None:
    drawn = cohort(5, 40, 40)
    wide, narrow = (found(drawn, confidence) for confidence in (0.99, 0.5))
    assert wide["accuracy_low"] < narrow["accuracy_low"] < narrow["accuracy_high"] < wide["accuracy_high"]


def test_one_group_gives_the_estimate_alone() -> None:
    ends = found((np.array([0, 1, 1]), np.eye(2)[[0, 1, 0]], np.array(["p", "p", "p"])))
    assert ends["accuracy_low"] == ends["accuracy_high"] == pytest.approx(2 / 3)


def test_a_resample_without_a_class_is_left_out_of_its_interval() -> None:
    labels, groups = np.array([0, 0, 0, 0, 1]), np.arange(5)
    resampled = resampled_metrics(labels, np.eye(2)[[0, 0, 1, 0, 1]], draw_weights(groups, 100, 7), NAMES[:2])
    assert np.isnan(resampled["roc_auc"]).any()
    assert 0 < intervals(resampled, 0.9, 5)["roc_auc_low"] <= resampled["roc_auc"][0]
