"""Assignment of groups: whole groups, every class in every part, shares close to the ratios."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bonexray.base.errors import BonexrayError
from bonexray.split.stratification import assign_groups, require_enough_groups

RATIOS = st.lists(st.integers(1, 8), min_size=2, max_size=4).map(lambda parts: np.array(parts) / sum(parts))
SEEDS = st.integers(0, 2**32 - 1)


@st.composite
def cohorts(draw) -> tuple[np.ndarray, np.ndarray]:
    """Any ratios, and any groups among which each class has one group of its own for each part."""
    ratios = draw(RATIOS)
    classes = draw(st.integers(1, 4))
    some = draw(arrays(np.int64, (draw(st.integers(0, 20)), classes), elements=st.integers(0, 5)))
    return np.concatenate([some, np.tile(np.eye(classes, dtype=np.int64), (len(ratios), 1))]), ratios


@given(cohort=cohorts(), seed=SEEDS)
def test_every_group_gets_a_part_and_every_part_holds_each_class(cohort, seed: int) -> None:
    counts, ratios = cohort
    part = assign_groups(counts, ratios, seed)
    assert part.shape == (len(counts),)
    assert set(part.tolist()) == set(range(len(ratios)))
    for number in range(len(ratios)):
        assert (counts[part == number].sum(axis=0) > 0).all()


@given(cohort=cohorts(), seed=SEEDS)
def test_the_same_seed_gives_the_same_parts(cohort, seed: int) -> None:
    counts, ratios = cohort
    np.testing.assert_array_equal(assign_groups(counts, ratios, seed), assign_groups(counts, ratios, seed))


def test_another_seed_gives_other_parts() -> None:
    counts = np.tile(np.eye(2, dtype=np.int64), (20, 1))
    parts = [assign_groups(counts, [0.5, 0.5], seed).tolist() for seed in range(5)]
    assert len({tuple(part) for part in parts}) > 1


@given(ratios=RATIOS, seed=SEEDS, sizes=st.lists(st.integers(1, 3), min_size=60, max_size=120))
def test_shares_of_many_small_groups_are_near_the_ratios(ratios: np.ndarray, seed: int, sizes: list[int]) -> None:
    counts = np.zeros((len(sizes), 2), np.int64)
    counts[np.arange(len(sizes)), np.arange(len(sizes)) % 2] = sizes
    part = assign_groups(counts, ratios, seed)
    for number, ratio in enumerate(ratios):
        held = counts[part == number].sum(axis=0)
        assert (np.abs(held - ratio * counts.sum(axis=0)) <= max(sizes)).all()


@given(cohort=cohorts(), seed=SEEDS)
def test_only_the_given_parts_must_be_complete(cohort, seed: int) -> None:
    counts, _ = cohort
    part = assign_groups(counts, [1e-9, 1 - 1e-9], seed, complete=[0])
    assert (counts[part == 0].sum(axis=0) > 0).all()


def test_a_class_with_too_few_groups_is_refused() -> None:
    counts = np.array([[1, 0], [1, 0], [1, 0], [0, 9], [0, 9]])
    with pytest.raises(ValueError, match="too few groups for 3 parts"):
        assign_groups(counts, [0.6, 0.2, 0.2], seed=0)
    with pytest.raises(BonexrayError, match=r"^class 'b': expected at least 3 .* received 2; "):
        require_enough_groups(["a", "b"], counts, 3)
    require_enough_groups(["a", "b"], counts, 2)


def test_all_rare_classes_are_named_at_once_with_what_can_be_done() -> None:
    counts = np.array([[1, 0, 0], [1, 0, 0], [1, 1, 0], [0, 0, 5]])
    with pytest.raises(BonexrayError, match=r"^classes 'b', 'c': expected at least 3 .* received 1, 1; ") as refused:
        require_enough_groups(["a", "b", "c"], counts, 3)
    for name in ("add images", "'+dataset.labels={b: other}'", "'+dataset.labels={b: null}'"):
        assert name in str(refused.value)
