"""Bootstrap intervals over groups equal those of a plain loop, for every score."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from bonexray.evaluate import bootstrap
from bonexray.evaluate.bootstrap import (
    BLOCKS,
    Draws,
    bounds,
    draw,
    expanded_quantile,
    intervals,
    resampled_metrics,
    standard_error,
)
from bonexray.evaluate.metrics import all_metrics, balanced_accuracy
from bonexray.evaluate.score_names import with_ending

QUANTILES = [0.025, 0.25, 0.5, 0.75, 0.975]
NAMES = ["normal", "osteopenia", "osteoporosis"]
few_examples = settings(max_examples=40, deadline=None, derandomize=True)


def cohort(seed: int, count: int, groups: int, classes: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return labels, probabilities better than chance, and groups of about equal size."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, count)
    probabilities = rng.dirichlet(np.ones(classes), count) + 0.5 * np.eye(classes)[labels]
    return labels, probabilities / 1.5, np.array([f"p{number % groups}" for number in range(count)])


def found(
    drawn: tuple[np.ndarray, np.ndarray, np.ndarray], confidence: float = 0.95, seed: int = 7
) -> dict[str, float]:
    labels, probabilities, groups = drawn
    draws = draw(groups, 200, seed)
    resampled = resampled_metrics(labels, probabilities, draws, NAMES[: probabilities.shape[1]], True)
    return intervals(resampled, draws, confidence)


# Draws


@few_examples
@given(st.lists(st.integers(0, 5), min_size=1, max_size=30), st.integers(0, 100))
def test_a_resample_draws_as_many_groups_as_the_sample_has(members: list[int], seed: int) -> None:
    groups = np.array(members)
    draws = draw(groups, 20, seed)
    weights, first = draws.weights, np.unique(groups, return_index=True)[1]
    assert (weights[0] == 1).all()
    assert (draws.resampled(weights)[:, first].sum(axis=1) == len(first)).all()
    assert len(first) == 1 or (draws.left_out(weights)[:, first] == 1 - np.eye(len(first))).all()
    assert (len(draws.resampled(weights)), draws.groups) == (20, len(first))
    for group in first:
        assert (weights[:, groups == groups[group]] == weights[:, [group]]).all()


def test_every_group_is_drawn_equally_often() -> None:
    draws = draw(np.arange(10), 4000, 7)
    weights = draws.resampled(draws.weights)
    assert weights.mean(axis=0) == pytest.approx(np.ones(10), abs=0.06)
    assert weights.var(axis=0) == pytest.approx(np.full(10, 0.9), abs=0.1)


def test_draws_depend_only_on_seed_and_grouping() -> None:
    groups = np.array(["a", "b", "a", "c"])
    same = draw(np.array(["x", "y", "x", "z"]), 50, 7).weights
    assert (draw(groups, 50, 7).weights == same).all()
    assert (draw(groups, 50, 8).weights != same).any()


def test_many_groups_are_left_out_in_disjoint_blocks() -> None:
    draws = draw(np.arange(1000), 2, 7)
    left_out = draws.left_out(draws.weights)
    assert len(left_out) == BLOCKS
    assert ((left_out == 0).sum(axis=0) == 1).all()


# Resampled scores


@few_examples
@given(st.integers(0, 10**6), st.integers(5, 30), st.integers(1, 6))
def test_weights_score_like_repeated_images(seed: int, count: int, groups: int) -> None:
    labels, probabilities, members = cohort(seed, count, groups)
    draws = draw(members, 2, seed)
    resampled = resampled_metrics(labels, probabilities, draws, NAMES, True)
    for row, drawn in enumerate(draws.weights):
        copies = np.repeat(np.arange(count), drawn)
        expected = all_metrics(labels[copies], probabilities[copies], NAMES, True)
        for name, values in resampled.items():
            assert values[row] == pytest.approx(expected[name], nan_ok=True), name


def test_scores_do_not_depend_on_the_chunk_size(monkeypatch: pytest.MonkeyPatch) -> None:
    labels, probabilities, groups = cohort(1, 30, 15)
    draws = draw(groups, 50, 7)
    whole = resampled_metrics(labels, probabilities, draws, NAMES)
    monkeypatch.setattr(bootstrap, "CHUNK", 200)
    parts = resampled_metrics(labels, probabilities, draws, NAMES)
    for name, values in whole.items():
        assert parts[name] == pytest.approx(values, nan_ok=True)


def test_all_scores_of_a_thousand_images_take_two_seconds() -> None:
    labels, probabilities, groups = cohort(1, 1000, 500)
    started = time.process_time()
    resampled_metrics(labels, probabilities, draw(groups, 2000, 7), NAMES, True)
    assert time.process_time() - started < 4  # 0.5 s of a free core: what is left is for a busy one


# Intervals


@few_examples
@given(st.integers(0, 10**6), st.integers(1, 40), st.integers(1, 12), st.integers(2, 3))
def test_an_interval_contains_its_estimate(seed: int, count: int, groups: int, classes: int) -> None:
    labels, probabilities, members = cohort(seed, count, groups, classes)
    ends = found((labels, probabilities, members))
    for name, estimate in all_metrics(labels, probabilities, NAMES[:classes], True).items():
        if getattr(name, "score", "") != "support":
            assert (
                np.isnan(ends[with_ending(name, "_low")])
                == np.isnan(ends[with_ending(name, "_high")])
                == np.isnan(estimate)
            )
            assert (
                np.isnan(estimate)
                or ends[with_ending(name, "_low")] - 1e-12 <= estimate <= ends[with_ending(name, "_high")] + 1e-12
            )


def test_intervals_of_single_images_equal_scipys_bca() -> None:
    labels, probabilities, _ = cohort(3, 30, 30)
    draws = draw(np.arange(30), 4000, 7)
    ends = intervals(resampled_metrics(labels, probabilities, draws, NAMES), draws, 0.95)
    reach = np.sqrt(30 / 29) * stats.t.ppf(0.975, 29)

    def score(rows: np.ndarray, name: str) -> float:
        return all_metrics(labels[rows], probabilities[rows], NAMES)[name]

    for name in ("accuracy", "brier"):
        expected = stats.bootstrap(
            (np.arange(30),),
            lambda rows, name=name: score(rows, name),
            method="BCa",
            n_resamples=400,
            confidence_level=2 * stats.norm.cdf(reach) - 1,
            vectorized=False,
            rng=np.random.default_rng(1),
        ).confidence_interval
        assert (ends[with_ending(name, "_low")], ends[with_ending(name, "_high")]) == pytest.approx(
            tuple(expected), abs=0.06
        ), name


def test_resamples_of_groups_vary_like_those_of_a_plain_loop() -> None:
    labels, probabilities, groups = cohort(3, 60, 20)
    rng = np.random.default_rng(1)
    members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    rows = [np.concatenate([members[i] for i in rng.integers(0, 20, 20)]) for _ in range(2000)]
    expected = np.quantile([balanced_accuracy(labels[r], probabilities[r].argmax(axis=1), 3) for r in rows], QUANTILES)
    draws = draw(groups, 4000, 7)
    found = resampled_metrics(labels, probabilities, draws, NAMES)["balanced_accuracy"]
    assert np.quantile(draws.resampled(found), QUANTILES) == pytest.approx(expected, abs=0.02)


def test_the_interval_of_a_mean_is_as_wide_as_students_t() -> None:
    values = np.linspace(-1, 1, 12)
    draws = draw(np.arange(12), 40_000, 7)
    means = draws.weights @ values / draws.weights.sum(axis=1)
    low, high = bounds(means, draws, 0.95)
    width = 2 * stats.t.ppf(0.975, 11) * values.std(ddof=1) / np.sqrt(12)
    assert high - low == pytest.approx(width, rel=0.05)
    assert standard_error(means, draws) == pytest.approx(values.std(ddof=1) / np.sqrt(12), rel=0.03)


def test_an_interval_extends_towards_rare_large_values() -> None:
    values = np.append(np.zeros(25), [1.0, 3.0, 8.0])
    draws = draw(np.arange(28), 4000, 7)
    means = draws.weights @ values / draws.weights.sum(axis=1)
    low, high = bounds(means, draws, 0.95)
    plain = np.quantile(draws.resampled(means), [0.025, 0.975])
    assert low > plain[0]
    assert high > plain[1]


def test_an_estimate_above_most_resamples_moves_its_interval_up() -> None:
    resampled = np.random.default_rng(1).normal(size=20_000)
    draws = Draws(np.ones((20_001, 1)), 20_000, 10**6)
    found = bounds(np.append(0.4, resampled), draws, 0.9)
    expected = stats.norm.ppf(stats.norm.cdf(2 * 0.4 + np.array([-1.645, 1.645])))
    assert found == pytest.approx(tuple(expected), abs=0.06)


def test_few_groups_widen_the_interval() -> None:
    assert expanded_quantile(0.95, 100_000) == pytest.approx(1.96, rel=1e-3)
    assert expanded_quantile(0.95, 10) > 2.3


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


def test_resamples_without_a_class_are_ignored() -> None:
    labels, groups = np.array([0, 0, 0, 0, 1]), np.arange(5)
    draws = draw(groups, 100, 7)
    resampled = resampled_metrics(labels, np.eye(2)[[0, 0, 1, 0, 1]], draws, NAMES[:2])
    assert np.isnan(resampled["roc_auc"]).any()
    assert 0 < intervals(resampled, draws, 0.9)["roc_auc_low"] <= resampled["roc_auc"][0]
