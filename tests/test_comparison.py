"""Paired tests equal published ones and are corrected for all pairs."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from bonexray.aggregate.comparison import (
    bootstrap_p,
    compare_pairs,
    delong_p,
    mcnemar_p,
    not_distinguishable,
    resampled_balanced_accuracy,
)
from bonexray.aggregate.multiplicity import holm, max_t
from bonexray.evaluate.bootstrap import Draws, draw

NAMES = ["normal", "osteopenia", "osteoporosis"]
few_examples = settings(max_examples=20, deadline=None, derandomize=True)


def panel(
    seed: int, skills: list[float], count: int = 60, classes: int = 3
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return labels, and probabilities of models m0, m1, ... with the given skills."""
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(classes), rng.integers(0, classes, count - classes)])
    truth, models = np.eye(classes)[labels], {}
    for number, skill in enumerate(skills):
        models[f"m{number}"] = (rng.dirichlet(np.ones(classes), count) + skill * truth) / (1 + skill)
    return labels, models


def compared(labels: np.ndarray, models: dict[str, np.ndarray], groups: np.ndarray | None = None) -> pd.DataFrame:
    groups = np.arange(len(labels)) if groups is None else groups
    classes = NAMES[: next(iter(models.values())).shape[1]]
    return compare_pairs(labels, draw(groups, 500, 7), models, classes, 0.95)


# The table


def test_every_pair_is_compared_once_in_order() -> None:
    pairs = compared(*panel(1, [0, 0, 1, 1]))
    expected = [("m0", "m1"), ("m0", "m2"), ("m0", "m3"), ("m1", "m2"), ("m1", "m3"), ("m2", "m3")]
    assert list(zip(pairs["one"], pairs["other"], strict=True)) == expected


def test_the_interval_contains_the_difference_of_balanced_accuracy() -> None:
    labels, models = panel(1, [0, 0.3, 1])
    score = {name: balanced_accuracy_score(labels, answers.argmax(axis=1)) for name, answers in models.items()}
    for row in compared(labels, models).itertuples():
        assert row.difference == pytest.approx(score[row.one] - score[row.other])
        assert row.difference_low <= row.difference <= row.difference_high


def test_a_much_better_model_differs_after_holms_correction() -> None:
    labels, models = panel(1, [0, 0, 3], count=150)
    pairs = compared(labels, models).set_index(["one", "other"])
    assert (pairs.loc[[("m0", "m2"), ("m1", "m2")], "p_bootstrap_holm"] < 1e-6).all()
    assert pairs.loc[("m0", "m1"), "p_bootstrap_holm"] > 0.05
    assert not_distinguishable(pairs.reset_index(), "m2") == []
    assert not_distinguishable(pairs.reset_index(), "m0") == ["m1"]


def test_equal_predictions_do_not_differ() -> None:
    labels, models = panel(1, [0.4])
    [row] = compared(labels, {"one": models["m0"], "other": models["m0"]}).to_dict("records")
    assert row["difference"] == 0 and row["difference_low"] < 0 < row["difference_high"]
    assert (row["p_bootstrap"], row["p_mcnemar"], row["p_bootstrap_holm"]) == (1, 1, 1)


@pytest.mark.parametrize("patients", [10, 40, 200])
def test_models_that_never_differ_may_differ_in_further_patients(patients: int) -> None:
    labels, models = panel(1, [0.4], patients)
    [row] = compared(labels, {"one": models["m0"], "other": models["m0"]}).to_dict("records")
    unseen = 1 - 0.025 ** (1 / patients)  # largest share of patients of whom none in the sample is plausible
    assert 0.5 * unseen < row["difference_high"] == -row["difference_low"] < 3 * unseen


def test_a_rare_class_widens_the_interval_of_models_that_never_differ() -> None:
    rare, even = np.repeat([0, 1], [58, 2]), np.repeat([0, 1], 30)
    answers = {name: np.eye(3)[np.zeros(60, int)] for name in ("one", "other")}
    wide, narrow = (compared(labels, answers)["difference_high"].item() for labels in (rare, even))
    assert wide > 3 * narrow


def test_nothing_differs_with_one_group() -> None:
    labels, models = panel(1, [0, 2])
    pairs = compared(labels, models, np.zeros(len(labels), int))
    assert list(pairs["p_bootstrap"]) == [1]
    assert not_distinguishable(pairs, "m1") == ["m0"]


def test_one_model_has_no_pairs() -> None:
    pairs = compared(*panel(1, [0.4]))
    assert len(pairs) == 0
    assert "p_delong_holm" in pairs
    assert not_distinguishable(pairs, "m0") == []


def test_delongs_test_needs_two_classes() -> None:
    labels, models = panel(1, [0, 1], classes=2)
    expected = delong_p(labels == 1, np.stack([answers[:, 1] for answers in models.values()]))[0, 1]
    assert list(compared(labels, models)["p_delong"]) == [expected]
    assert compared(*panel(1, [0, 1]))[["p_delong", "p_delong_holm"]].isna().all(axis=None)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.integers(0, 10**6), st.integers(1, 40), st.integers(0, 40), st.floats(0, 3), st.sampled_from([0.8, 0.95]))
def test_an_interval_excludes_0_exactly_when_p_is_significant(
    seed: int, n_groups: int, more: int, skill: float, confidence: float
) -> None:
    count = max(4, n_groups + more)
    labels, models = panel(seed, [0, skill, 2 * skill, 100], count)
    right = {"right": np.eye(3)[labels], "wrong": np.eye(3)[(labels + 1) % 3]}  # their difference is constant
    draws = draw(np.arange(count) % n_groups, 100, seed)
    pairs = compare_pairs(labels, draws, models | right, NAMES, confidence)
    excludes = (pairs["difference_low"] > 0) | (pairs["difference_high"] < 0)
    assert list(excludes) == list(pairs["p_bootstrap"] < 1 - confidence)
    assert pairs[["difference_low", "difference_high"]].abs().max(axis=None) <= 1
    assert (pairs["difference_low"] <= pairs["difference"]).all()
    assert (pairs["difference"] <= pairs["difference_high"]).all()
    assert (pairs["difference_low"] < pairs["difference_high"]).all()


# Bootstrap


@few_examples
@given(st.integers(0, 10**6), st.integers(4, 30), st.integers(1, 10), st.integers(2, 3))
def test_resampled_balanced_accuracy_equals_scikit_learn(seed: int, count: int, n_groups: int, classes: int) -> None:
    labels, models = panel(seed, [0, 1], count, classes)
    weights = draw(np.arange(count) % n_groups, 2, seed).weights
    right = np.stack([answers.argmax(axis=1) == labels for answers in models.values()])
    found = resampled_balanced_accuracy(labels, right, weights, classes)
    for row, drawn in enumerate(weights):
        for column, answers in enumerate(models.values()):
            copies = np.repeat(np.arange(count), drawn)
            predicted = answers.argmax(axis=1)[copies]
            recalls = [(predicted[labels[copies] == c] == c).mean() for c in np.unique(labels[copies])]
            assert found[row, column] == pytest.approx(np.mean(recalls))


def test_p_of_a_mean_difference_equals_students_t() -> None:
    values = np.random.default_rng(1).normal(0.3, 1, 15)
    draws = draw(np.arange(15), 40_000, 7)
    found = bootstrap_p(draws.weights @ values[:, None] / 15, draws)
    assert found[0] == pytest.approx(stats.ttest_1samp(values, 0).pvalue, rel=0.05)


def test_resamples_do_not_limit_p() -> None:
    labels, models = panel(1, [0, 5], count=300)
    assert compared(labels, models)["p_bootstrap"][0] < 1e-10


def test_a_constant_difference_has_the_p_of_a_sign_test() -> None:
    assert bootstrap_p(np.full((57, 1), 1.0), Draws(np.ones((57, 6)), 50, 6)) == pytest.approx([2 * 0.5**6])


# Repeats, the planned pair and the correction for all pairs


def test_pairs_are_of_means_over_repeats() -> None:
    labels, models = panel(1, [0, 0.3, 1, 2])
    score = [balanced_accuracy_score(labels, answers.argmax(axis=1)) for answers in models.values()]
    one, other = (np.stack([models[name] for name in names]) for names in (["m0", "m1"], ["m2", "m3"]))
    [row] = compared(labels, {"one": one, "other": other}).to_dict("records")
    assert row["difference"] == pytest.approx((score[0] + score[1] - score[2] - score[3]) / 2)
    assert np.isnan([row["p_mcnemar"], row["p_delong_holm"]]).all()


def test_repeats_of_differing_quality_widen_the_interval_of_a_pair() -> None:
    labels, models = panel(1, [0, 3, 0.7, 0.7, 0.7], count=200)
    [alike, *_] = compared(labels, {"one": models["m2"][None], "other": models["m3"][None]}).to_dict("records")
    differing = np.stack([models["m0"], models["m1"]])
    [row] = compared(labels, {"one": differing, "other": np.stack([models["m3"]] * 2)}).to_dict("records")
    assert row["difference_error"] > 2 * alike["difference_error"]


def test_the_planned_pair_is_tested_at_full_level() -> None:
    labels, models = panel(3, [0, 0.2, 0.4, 0.6])
    draws = draw(np.arange(len(labels)), 500, 7)
    pairs = compare_pairs(labels, draws, models, NAMES, 0.95, ["m2", "m0"])
    [planned] = pairs[pairs["primary"] == 1].to_dict("records")
    assert (planned["one"], planned["other"]) == ("m0", "m2")
    assert planned["p_bootstrap"] == planned["p_bootstrap_holm"] == planned["p_bootstrap_max_t"]
    others = pairs[pairs["primary"] == 0]
    assert list(others["p_bootstrap_holm"]) == list(holm(others["p_bootstrap"].to_numpy()))


@few_examples
@given(st.integers(0, 10**6), st.integers(1, 8), st.integers(2, 200), st.floats(0, 0.99))
def test_max_t_lies_between_p_and_holm_and_keeps_their_order(
    seed: int, pairs: int, freedom: int, correlation: float
) -> None:
    rng = np.random.default_rng(seed)
    shared, own = rng.standard_normal((500, 1)), rng.standard_normal((500, pairs))
    resampled = np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * own
    p = rng.random(pairs) ** 3
    corrected = max_t(p, resampled, freedom)
    assert (p <= corrected).all() and (corrected <= holm(p)).all()
    assert (np.diff(corrected[np.argsort(p)]) >= 0).all()


def test_max_t_of_independent_pairs_is_sidaks_and_of_equal_pairs_is_p() -> None:
    rng, p = np.random.default_rng(1), np.full(10, 0.01)
    independent = rng.standard_normal((100_000, 10))
    assert max_t(p, independent, 10**6) == pytest.approx(1 - 0.99**10, rel=0.03)
    assert max_t(p, np.repeat(independent[:, :1], 10, axis=1), 30) == pytest.approx(p, rel=0.05)


def test_max_t_equals_the_studentized_range_for_all_pairs_of_equal_models() -> None:
    models, freedom, one, other = 6, 20, *np.triu_indices(6, 1)
    draws = np.random.default_rng(1).standard_normal((100_000, models))
    p = np.full(len(one), 0.004)
    statistic = stats.t.isf(0.002, freedom)
    expected = stats.studentized_range.sf(statistic * np.sqrt(2), models, freedom)
    assert max_t(p, draws[:, one] - draws[:, other], freedom)[0] == pytest.approx(expected, rel=0.03)


# McNemar, DeLong and Holm


@few_examples
@given(st.integers(0, 30), st.integers(0, 30))
def test_mcnemars_test_equals_statsmodels(one: int, other: int) -> None:
    expected = mcnemar([[5, one], [other, 5]], exact=True).pvalue if one + other else 1
    assert mcnemar_p(np.array([one]), np.array([other]))[0] == pytest.approx(expected)


def delong_as_published(positive: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, float]:
    """Return areas, and p of the first two models, by comparing every positive with every negative image."""
    beats = [
        (model[positive][:, None] > model[~positive]) + 0.5 * (model[positive][:, None] == model[~positive])
        for model in scores
    ]
    rows, columns = (np.cov([beat.mean(axis=axis) for beat in beats]) for axis in (1, 0))
    covariance = rows / positive.sum() + columns / (~positive).sum()
    areas = np.array([beat.mean() for beat in beats])
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    return areas, 2 * stats.norm.sf(abs(areas[0] - areas[1]) / np.sqrt(variance))


@few_examples
@given(st.integers(0, 10**6), st.integers(10, 60), st.sampled_from([4, 1000]))
def test_delongs_test_equals_its_definition_with_ties(seed: int, count: int, steps: int) -> None:
    rng = np.random.default_rng(seed)
    positive = np.append([True, True, False, False], rng.random(count) < 0.4)
    scores = rng.integers(0, steps, (2, len(positive))) + 0.3 * steps * positive
    areas, expected = delong_as_published(positive, scores)
    assert areas == pytest.approx([roc_auc_score(positive, score) for score in scores])
    found = delong_p(positive, scores)
    assert found[0, 1] == found[1, 0] == pytest.approx(expected)
    assert list(np.diag(found)) == [1, 1]


def test_delongs_test_needs_two_positive_and_two_negative_images() -> None:
    assert np.isnan(delong_p(np.array([True, False, False]), np.random.default_rng(1).random((2, 3)))).all()


@settings(max_examples=8, deadline=None, derandomize=True)  # statsmodels collects garbage at each call
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20), st.integers(0, 3))
def test_holms_correction_equals_statsmodels_without_nan(values: list[float], missing: int) -> None:
    corrected = holm(np.array([*values, *[np.nan] * missing]))
    assert corrected[: len(values)] == pytest.approx(multipletests(values, method="holm")[1])
    assert np.isnan(corrected[len(values) :]).all()
    assert (corrected[: len(values)] >= np.array(values) - 1e-15).all()
