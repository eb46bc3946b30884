"""Ranks over folds: Friedman's statistic, Nemenyi's critical difference and cliques."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from bonexray.aggregate.friedman import compare_ranks, critical_difference


def scores(seed: int, blocks: int, models: int, spread: float = 0.0) -> pd.DataFrame:
    """Return scores by block, each model better than the one before it by `spread`."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        rng.random((blocks, models)).round(2) + spread * np.arange(models), columns=[f"m{i}" for i in range(models)]
    )


# Demšar 2006, table 5
@pytest.mark.parametrize(("models", "quantile"), [(2, 1.960), (3, 2.343), (5, 2.728), (10, 3.164)])
def test_critical_difference_equals_the_published_table(models: int, quantile: float) -> None:
    assert critical_difference(models, 14) == pytest.approx(quantile * np.sqrt(models * (models + 1) / 84), rel=1e-3)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.integers(0, 10**6), st.integers(2, 8), st.integers(3, 7))
def test_statistic_equals_scipy_and_ranks_have_their_sum(seed: int, blocks: int, models: int) -> None:
    table = scores(seed, blocks, models)
    found = compare_ranks(table)
    expected = stats.friedmanchisquare(*table.to_numpy().T)
    assert (found.statistic, found.p) == pytest.approx((expected.statistic, expected.pvalue))
    assert sum(found.mean_ranks.values()) == pytest.approx(models * (models + 1) / 2)
    assert list(found.mean_ranks.values()) == sorted(found.mean_ranks.values())


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.integers(0, 10**6), st.integers(2, 30), st.integers(3, 7), st.floats(0, 0.4))
def test_models_closer_than_the_critical_difference_share_a_clique(
    seed: int, blocks: int, models: int, spread: float
) -> None:
    found = compare_ranks(scores(seed, blocks, models, spread))
    for one, its_rank in found.mean_ranks.items():
        for other, other_rank in found.mean_ranks.items():
            together = any({one, other} <= set(clique) for clique in found.cliques)
            near = abs(its_rank - other_rank) < found.critical_difference - 1e-6
            assert together == near or one == other
    for clique in found.cliques:
        assert not any(set(clique) < set(larger) for larger in found.cliques)


def test_the_best_model_has_rank_1() -> None:
    found = compare_ranks(scores(1, 40, 4, spread=1.0))
    assert found.mean_ranks == {"m3": 1, "m2": 2, "m1": 3, "m0": 4}
    assert found.cliques == [["m3", "m2"], ["m2", "m1"], ["m1", "m0"]] if found.critical_difference > 1 else True
    assert found.p < 1e-10


def test_two_separate_groups_are_two_cliques() -> None:
    table = pd.DataFrame({"a": [9, 8] * 20, "b": [8, 9] * 20, "c": [1, 2] * 20, "d": [2, 1] * 20})
    assert compare_ranks(table).cliques == [["a", "b"], ["c", "d"]]


def test_models_that_always_tie_form_one_clique() -> None:
    found = compare_ranks(pd.DataFrame(np.full((5, 3), 0.7), columns=list("abc")))
    assert (found.statistic, found.p, found.cliques) == (0, 1, [["a", "b", "c"]])


@pytest.mark.parametrize(("blocks", "models"), [(1, 5), (5, 2)])
def test_too_few_blocks_or_models_have_no_test(blocks: int, models: int) -> None:
    assert compare_ranks(scores(1, blocks, models)) is None


def test_a_missing_score_has_no_test() -> None:
    table = scores(1, 5, 3)
    table.iloc[2, 1] = np.nan
    assert compare_ranks(table) is None
