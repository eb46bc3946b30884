"""Batches: which rows come when, what stands beside them, and which of them are ever altered."""

from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from cohorts import AUGMENT, CLASSES, cohort_of, lay_out_features, lay_out_images

from bonexray.augment.views import EPOCH, random_view
from bonexray.data.arrays import ArrayFile
from bonexray.data.paths import FEATURES, IMAGES, VIEWS
from bonexray.train.batches import Batches, Reader, augmented_features, augmented_images, images, stored

ROWS = 20


def numbered(times: int = 1) -> Reader:
    """A reader that gives each row its own number, times another."""
    return lambda rows, _epoch: rows[:, None] * np.float32(times)


def batches_of(rows: int = 10, batch_images: int = 4, seed: int | None = None) -> Batches:
    targets = np.arange(ROWS, dtype=np.float32)[:, None]
    return Batches([numbered()], targets, np.arange(rows), batch_images, seed)


def epoch_of(batches: Batches) -> list[list[int]]:
    """The rows of each batch of an epoch, after which the next one begins."""
    rows = [[int(row) for row in batches[number][1].ravel()] for number in range(len(batches))]
    batches.on_epoch_end()
    return rows


# Order


def test_without_a_seed_the_order_is_kept_in_every_epoch() -> None:
    batches = batches_of()
    assert epoch_of(batches) == epoch_of(batches) == [[0, 1, 2, 3], [4, 5, 6], [7, 8, 9]]


def test_with_a_seed_every_row_comes_once_an_epoch_in_another_order() -> None:
    batches = batches_of(rows=20, seed=1)
    epochs = [epoch_of(batches) for _ in range(4)]
    assert all(sorted(chain.from_iterable(epoch)) == list(range(20)) for epoch in epochs)
    assert len({str(epoch) for epoch in epochs}) == 4


def test_the_same_seed_gives_the_same_order() -> None:
    one, again, other = (batches_of(rows=20, seed=seed) for seed in (1, 1, 2))
    epochs = [[epoch_of(batches) for _ in range(2)] for batches in (one, again, other)]
    assert epochs[0] == epochs[1] != epochs[2]


def test_batches_share_the_rows_evenly() -> None:
    assert [len(batches_of(seed=1)[number][1]) for number in range(len(batches_of()))] == [4, 3, 3]


def test_shuffling_leaves_the_callers_rows_alone() -> None:
    rows = np.arange(10)
    Batches([numbered()], np.zeros((10, 1)), rows, 4, 1)
    assert np.array_equal(rows, np.arange(10))


def test_only_the_given_rows_are_read_and_the_reader_is_told_the_epoch() -> None:
    heard: list[tuple[int, list[int]]] = []

    def reader(rows: np.ndarray, epoch: int) -> np.ndarray:
        heard.append((epoch, list(rows)))
        return rows[:, None]

    batches = Batches([reader], np.zeros((ROWS, 1)), np.array([3, 5, 11]), 2)
    for _epoch in range(2):
        epoch_of(batches)
    assert heard == [(0, [3, 5]), (0, [11]), (1, [3, 5]), (1, [11])]


# What stands beside what


def test_inputs_and_targets_stay_together_in_every_epoch() -> None:
    batches = batches_of(rows=20, seed=1)
    for _epoch in range(3):
        for number in range(len(batches)):
            inputs, targets = batches[number]
            assert np.array_equal(inputs, targets)
        batches.on_epoch_end()


def test_several_inputs_come_as_a_tuple_of_the_same_rows() -> None:
    targets = np.arange(6, dtype=np.float32)[:, None]
    (first, second), beside = Batches([numbered(), numbered(10)], targets, np.arange(6), 4, 1)[0]
    assert np.array_equal(first * 10, second)
    assert np.array_equal(first, beside)


# Readers


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cohort of 30 images with plain features of two backbones, which is where the test runs."""
    monkeypatch.chdir(tmp_path)
    lay_out_images(8)
    for backbone in ("resnet50", "densenet121"):
        lay_out_features(backbone)
    return tmp_path


def test_stored_rows_and_images_are_those_of_the_file_in_every_epoch(folder: Path) -> None:
    array, rows = ArrayFile(IMAGES), np.array([2, 3, 9])
    plain = np.load(IMAGES)[rows]
    for epoch in range(3):
        assert stored(array)(rows, epoch).tobytes() == plain.tobytes()
        assert images(array)(rows, epoch).shape == (3, 8, 8, 1)
        assert images(array)(rows, epoch).tobytes() == plain.tobytes()


def test_an_augmented_image_is_its_rows_view_of_the_epoch(folder: Path) -> None:
    read, rows = augmented_images(ArrayFile(IMAGES), AUGMENT), np.array([2, 3, 9])
    for epoch in range(3):
        seen = read(rows, epoch)
        assert (seen.shape, seen.dtype) == ((3, 8, 8, 1), np.float32)
        for place, row in enumerate(rows):
            view = random_view(np.load(IMAGES)[row], AUGMENT, EPOCH, epoch, int(row))
            assert np.array_equal(seen[place, ..., 0], view)


TRAIN, COPIES = np.array([1, 4, 5, 9, 12]), 3


@pytest.fixture
def encoded(tmp_path: Path) -> ArrayFile:
    """Copy by copy, instead of features each training image's (row, copy)."""
    views = [(row, copy) for copy in range(COPIES) for row in TRAIN]
    np.save(tmp_path / VIEWS, np.array(views, np.float32))
    return ArrayFile(tmp_path / VIEWS)


def test_a_draw_is_one_of_the_copies_of_the_very_image(encoded: ArrayFile) -> None:
    read = augmented_features(encoded, TRAIN, seed=7)
    for epoch in range(20):
        for rows in (TRAIN, TRAIN[[1, 3]], TRAIN[:0]):
            assert np.array_equal(read(rows, epoch)[:, 0], rows)


def test_an_image_is_drawn_alike_in_whatever_batch_it_comes(encoded: ArrayFile) -> None:
    read = augmented_features(encoded, TRAIN, seed=7)
    every = read(TRAIN, 3)
    assert all(np.array_equal(read(TRAIN[[place]], 3)[0], every[place]) for place in range(len(TRAIN)))


def test_over_the_epochs_every_copy_of_every_image_is_drawn(encoded: ArrayFile) -> None:
    read = augmented_features(encoded, TRAIN, seed=7)
    drawn = np.stack([read(TRAIN, epoch)[:, 1] for epoch in range(60)])
    assert all(set(drawn[:, place]) == set(range(COPIES)) for place in range(len(TRAIN)))
    assert max(np.mean(drawn == copy) for copy in range(COPIES)) < 0.5
    assert any(len(set(epoch)) > 1 for epoch in drawn), "images are drawn apart"


def test_two_backbones_draw_the_same_copy_of_the_same_image(encoded: ArrayFile, tmp_path: Path) -> None:
    np.save(tmp_path / "other.npy", encoded[:] * 10)
    one, other = (augmented_features(array, TRAIN, 7) for array in (encoded, ArrayFile(tmp_path / "other.npy")))
    for epoch in range(10):
        assert np.array_equal(one(TRAIN, epoch) * 10, other(TRAIN, epoch))


def test_another_seed_draws_otherwise(encoded: ArrayFile) -> None:
    one, other = (augmented_features(encoded, TRAIN, seed) for seed in (7, 8))
    assert any(not np.array_equal(one(TRAIN, epoch), other(TRAIN, epoch)) for epoch in range(10))


# A cohort's batches


def epochs_of(batches: Batches, epochs: int = 3) -> list[np.ndarray]:
    """The inputs of whole epochs, batch after batch."""
    found = []
    for _epoch in range(epochs):
        found.append(np.concatenate([batches[number][0] for number in range(len(batches))]))
        batches.on_epoch_end()
    return found


def rows_of_split(split: str) -> np.ndarray:
    return cohort_of("densenet121", "frozen").rows(split)


@pytest.mark.parametrize("split", ["val", "test"])
def test_validation_and_test_images_are_byte_identical_in_every_epoch(split: str, folder: Path) -> None:
    expected = np.load(IMAGES)[rows_of_split(split)].tobytes()
    assert [seen.tobytes() for seen in epochs_of(cohort_of("densenet121", "full").images(split))] == [expected] * 3


@pytest.mark.parametrize("split", ["val", "test"])
def test_validation_and_test_features_are_the_plain_ones_also_where_there_are_copies(split: str, folder: Path) -> None:
    lay_out_features("densenet121", copies=3)
    expected = np.load("data/features/densenet121/features.npy")[rows_of_split(split)].tobytes()
    assert [seen.tobytes() for seen in epochs_of(cohort_of("densenet121", "frozen").features(split))] == [expected] * 3


def test_training_images_are_other_views_in_every_epoch(folder: Path) -> None:
    cohort = cohort_of("densenet121", "full")
    epochs = epochs_of(cohort.images("train", learning=True))
    assert len({np.sort(epoch.ravel()).tobytes() for epoch in epochs}) == 3
    again = epochs_of(cohort.images("train", learning=True))
    assert [epoch.tobytes() for epoch in again] == [epoch.tobytes() for epoch in epochs]


def test_training_features_are_drawn_from_the_copies_anew_in_every_epoch(folder: Path) -> None:
    lay_out_features("densenet121", copies=3)
    copies = {row.tobytes() for row in np.load(f"data/features/densenet121/{VIEWS}")}
    epochs = epochs_of(cohort_of("densenet121", "frozen").features("train", learning=True))
    drawn = [{row.tobytes() for row in epoch} for epoch in epochs]
    assert all(epoch <= copies and len(epoch) == len(rows_of_split("train")) for epoch in drawn)
    assert drawn[0] != drawn[1] != drawn[2]


def test_without_copies_training_features_are_the_plain_ones_in_another_order(folder: Path) -> None:
    plain = np.load(f"data/features/densenet121/{FEATURES}")[rows_of_split("train")]
    epochs = epochs_of(cohort_of("densenet121", "frozen").features("train", learning=True))
    assert all({row.tobytes() for row in epoch} == {row.tobytes() for row in plain} for epoch in epochs)
    assert len({epoch.tobytes() for epoch in epochs}) == 3


def test_a_fusions_inputs_are_of_the_same_images_as_the_targets(folder: Path) -> None:
    cohort = cohort_of("resnet50_densenet121", "frozen")
    arrays = [np.load(f"data/features/{backbone}/{FEATURES}") for backbone in ("resnet50", "densenet121")]
    row_of_bytes = {row.tobytes(): number for number, row in enumerate(arrays[0])}
    batches = cohort.features("train", learning=True)
    for number in range(len(batches)):
        (one, other), targets = batches[number]
        rows = [row_of_bytes[row.tobytes()] for row in one]
        assert np.array_equal(other, arrays[1][rows])
        assert np.array_equal(targets.argmax(axis=1), cohort.labels[rows])


def test_labels_are_places_in_the_class_map(folder: Path) -> None:
    cohort = cohort_of("densenet121", "frozen")
    assert [CLASSES[number] for number in cohort.labels] == list(cohort.manifest["label"])


def test_batches_of_a_split_hold_its_targets_and_without_one_all(folder: Path) -> None:
    cohort = cohort_of("densenet121", "frozen")
    for split in ("train", "val", "test", None):
        batches = cohort.features(split)
        targets = np.concatenate([batches[number][1] for number in range(len(batches))])
        assert np.array_equal(targets.argmax(axis=1), cohort.labels[cohort.rows(split)])
    assert len(cohort.rows(None)) == len(cohort.manifest)


def test_a_cohort_names_the_files_that_its_training_reads(folder: Path) -> None:
    features = Path(f"data/features/densenet121/{FEATURES}")
    expected = {"frozen": [features], "fine_tune": [features, IMAGES], "full": [IMAGES]}
    assert {mode: cohort_of("densenet121", mode).files for mode in expected} == expected
    assert cohort_of("compact_cnn", "scratch").files == [IMAGES]
