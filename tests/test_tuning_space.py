"""The table of what is searched: which settings a model's search has, and how a trial's values read."""

import optuna
import pytest
from searches import MODEL, SCRATCH, settings_with

from bonexray.augment.settings import Augment
from bonexray.features.settings import Features
from bonexray.registry import FINE_TUNE, FROZEN, FULL
from bonexray.train.settings import FineTune, Train
from bonexray.tuning.space import SPACE, SearchTarget, suggest, with_changes

SECTIONS = {"train": Train, "augment": Augment, "features": Features, "fine_tune": FineTune}
RANGES = {"augment.rotation_deg", "augment.shift", "augment.zoom"}
DROPOUTS = {"train.dropout", "train.dropout_2"}


def chosen(name: str, mode: str, copies: int = 0, trials: int = 60) -> list[dict]:
    space, study = SearchTarget(settings_with(name, mode, copies), name, copies), optuna.create_study()
    study.sampler = optuna.samplers.RandomSampler(seed=7)
    return [suggest(study.ask(), space) for _ in range(trials)]


def names_in(changes: list[dict]) -> set[str]:
    return set().union(*changes)


@pytest.mark.parametrize("dimension", SPACE, ids=lambda dimension: dimension.setting)
def test_every_row_is_a_setting(dimension) -> None:
    section, key = dimension.setting.split(".")
    assert key in SECTIONS[section].model_fields


def test_a_frozen_model_is_searched_by_head_and_learning_rate_and_both_dropouts() -> None:
    found = chosen(MODEL, FROZEN)
    assert names_in(found) == {"train.head", "train.learning_rate", *DROPOUTS}
    bare = [changes for changes in found if changes["train.head"] == "bare"]
    assert 0 < len(bare) < len(found) and not any("train.dropout_2" in changes for changes in bare)
    assert all(set(changes) >= DROPOUTS for changes in found if changes["train.head"] == "standard")


def test_a_model_with_a_head_of_its_own_keeps_it() -> None:
    assert names_in(chosen("late_fusion", FROZEN)) == {"train.learning_rate", "train.dropout"}


def test_copies_on_disk_are_taken_or_left() -> None:
    assert {changes["features.copies"] for changes in chosen(MODEL, FROZEN, copies=3)} == {0, 3}


def test_what_learns_from_images_is_searched_by_how_far_they_are_moved() -> None:
    assert names_in(chosen(SCRATCH, "scratch")) == {"train.learning_rate", *RANGES}
    assert names_in(chosen(MODEL, FULL)) == {"train.head", "train.learning_rate", *DROPOUTS, *RANGES}
    tuned = {"train.head", "train.learning_rate", "fine_tune.learning_rate", *DROPOUTS, *RANGES}
    assert names_in(chosen(MODEL, FINE_TUNE)) == tuned


def test_copies_that_were_drawn_in_the_present_ranges_are_used_with_no_others() -> None:
    for changes in chosen(MODEL, FINE_TUNE, copies=3):
        assert bool(RANGES & set(changes)) == (changes["features.copies"] == 0)


def test_values_read_as_they_are_tried() -> None:
    for changes in chosen(MODEL, FINE_TUNE):
        assert all(len(repr(value)) <= 8 for value in changes.values() if isinstance(value, float)), changes
        row, train, augment, _ = with_changes(SearchTarget(settings_with(MODEL, FINE_TUNE), MODEL), changes)
        assert row.fine_tune.learning_rate == changes["fine_tune.learning_rate"]
        assert (train.learning_rate, train.dropout) == (changes["train.learning_rate"], changes["train.dropout"])
        assert augment.zoom == changes["augment.zoom"]
        Train.model_validate(train.model_dump())
        Augment.model_validate(augment.model_dump())
