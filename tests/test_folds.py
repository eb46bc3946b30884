"""Folds and repeats: each repeat tests every image once, in a training without its group."""

from contextlib import nullcontext
from pathlib import Path
from unittest import mock

import keras
import numpy as np
import pandas as pd
import pytest
from audited import CLASSES, built, cohort, image, settings
from cohorts import cohort_of, lay_out_features, lay_out_images, numbers, with_settings
from hypothesis import given
from hypothesis import strategies as st

from bonexray.base.errors import BonexrayError
from bonexray.data.folds import FIRST, Run, folds_of, learners, runs_of, split_in
from bonexray.data.manifest import SPLITS, read_manifest
from bonexray.data.paths import FEATURES, MANIFEST, features_folder
from bonexray.data.predictions import first_training, read_predictions, write_predictions
from bonexray.registry import FROZEN
from bonexray.runtime import start_anew
from bonexray.train import linear, network, runs
from bonexray.train.cohort import Cohort
from bonexray.train.training import Trained

UNRECORDED = lambda *_: nullcontext(mock.Mock())  # noqa: E731
GROUPED = st.lists(st.tuples(st.sampled_from(CLASSES), st.sampled_from([None, "p1", "p2", "p3"])), max_size=20)


@given(drawn=GROUPED, folds=st.integers(3, 6), seed=st.integers(0, 100))
def test_every_image_is_tested_once_by_a_training_without_its_group(drawn: list, folds: int, seed: int) -> None:
    audited = cohort(folds) + [image(f"drawn/{n}", label, group) for n, (label, group) in enumerate(drawn)]
    rows = built(audited, settings(seed=seed, folds=folds))
    assert folds_of(rows) == folds
    tested, validated = np.zeros(len(rows), int), np.zeros(len(rows), int)
    for fold in range(1, folds + 1):
        split = split_in(rows, fold)
        assert (rows.assign(split=split).groupby("group")["split"].nunique() == 1).all()
        assert {(s, c) for s, c in zip(split, rows["label"], strict=True)} == {(s, c) for s in SPLITS for c in CLASSES}
        tested += split == "test"
        validated += split == "val"
    assert set(tested) == set(validated) == {1}
    assert learners(rows).all()


def test_folds_are_of_nearly_equal_size() -> None:
    rows = built(cohort(20), settings(folds=4))
    assert rows.groupby(["fold", "label"]).size().tolist() == [5] * 8


def test_the_splits_in_the_manifest_are_those_of_the_first_training() -> None:
    rows = built(cohort(6), settings(folds=3))
    assert rows["split"].tolist() == split_in(rows, 1).tolist()
    assert set(rows.loc[rows["split"] == "test", "fold"]) == {"1"}
    assert set(rows.loc[rows["split"] == "val", "fold"]) == {"2"}


def test_a_study_without_folds_has_one_split_and_one_training() -> None:
    rows = built(cohort(6), settings())
    assert set(rows["fold"]) == {""}
    assert runs_of(rows, repeats=1) == [FIRST]
    assert split_in(rows, 1).equals(rows["split"])
    assert learners(rows).tolist() == (rows["split"] == "train").tolist()


def test_every_fold_is_trained_in_every_repeat_the_first_one_first() -> None:
    rows = built(cohort(6), settings(folds=3))
    assert runs_of(rows, repeats=2) == [Run(r, f) for r in (1, 2) for f in (1, 2, 3)]
    assert runs_of(rows, repeats=2)[0] == FIRST


def test_folds_are_refused_if_the_dataset_has_a_split() -> None:
    audited = [item for split in SPLITS for item in cohort(4, split, split)]
    with pytest.raises(BonexrayError, match=r"split\.folds: expected a dataset without splits of its own"):
        built(audited, settings(folds=3))


def test_a_class_with_fewer_groups_than_folds_is_refused() -> None:
    with pytest.raises(BonexrayError, match="expected at least 5 patients"):
        built(cohort(4), settings(folds=5))


def test_a_subset_keeps_every_class_in_every_fold() -> None:
    rows = built(cohort(20), settings(0.3, folds=4))
    assert len(rows) < 20
    assert set(zip(rows["fold"], rows["label"], strict=True)) == {(f, c) for f in "1234" for c in CLASSES}


@pytest.fixture
def folded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Lay out a cohort in three folds."""
    monkeypatch.chdir(tmp_path)
    lay_out_images(16)
    rows = read_manifest()
    rows["fold"] = [str(number % 3 + 1) for number in range(len(rows))]
    rows["split"] = split_in(rows, 1)
    rows.to_csv(MANIFEST, index=False)
    lay_out_features("mobilenet_v2")
    return tmp_path


def test_a_training_learns_from_its_folds_with_the_seeds_of_its_repeat(folded: Path) -> None:
    cohort = cohort_of("mobilenet_v2", FROZEN)
    run = cohort.in_run(Run(3, 2))
    fold = cohort.manifest["fold"]
    assert cohort.manifest.loc[run.rows("test"), "fold"].unique().tolist() == ["2"]
    assert cohort.manifest.loc[run.rows("val"), "fold"].unique().tolist() == ["3"]
    assert len(run.rows("train")) == (fold == "1").sum()
    assert (run.train.seed, run.augment.seed) == (cohort.train.seed + 2, cohort.augment.seed + 2)
    first = cohort.in_run(FIRST)
    assert (first.train, first.augment, first.rows("test").tolist()) == (
        cohort.train,
        cohort.augment,
        cohort.rows("test").tolist(),
    )


def test_predictions_of_all_trainings_are_read_back_with_their_splits(tmp_path: Path) -> None:
    rows = built(cohort(6), settings(folds=3))
    rng = np.random.default_rng(7)
    answers = {run: rng.dirichlet(np.ones(2), len(rows)) for run in runs_of(rows, 2)}
    write_predictions(tmp_path / "p.csv", rows, answers, CLASSES)
    read, values = read_predictions(tmp_path / "p.csv", CLASSES)
    for run, expected in answers.items():
        mine = ((read["repeat"] == run.repeat) & (read["fold"] == run.fold)).to_numpy()
        assert values[mine] == pytest.approx(expected, abs=2e-8)
        assert read.loc[mine, "split"].tolist() == split_in(rows, run.fold).tolist()
        assert read.loc[mine, "path"].tolist() == rows["path"].tolist()
    assert isinstance(read, pd.DataFrame) and len(read) == 6 * len(rows)
    first, probabilities = first_training(read, values)
    assert first["path"].tolist() == rows["path"].tolist()
    assert probabilities == pytest.approx(answers[FIRST], abs=2e-8)


def test_every_training_gets_the_split_and_the_seeds_of_its_own_run(
    folded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[object] = []

    def spy(_name: str, trained: Cohort, _folder: Path, _on_epoch: object) -> Trained:
        order.append(trained)
        return Trained(mock.MagicMock(), pd.DataFrame({"epoch": [1]}), {})

    monkeypatch.setattr(network, "train_model", spy)
    monkeypatch.setattr(network, "probabilities", lambda *_: np.zeros(0))
    monkeypatch.setattr(network, "start_anew", lambda seed: order.append(seed))
    cohort = cohort_of("mobilenet_v2", FROZEN)
    planned = runs_of(cohort.manifest, 2)
    for run in planned:
        runs.train_once({"model": "mobilenet_v2"}, cohort, run, folded, UNRECORDED, network.train_anew)
    seen = [entry for entry in order if isinstance(entry, Cohort)]
    assert [entry.manifest["split"].tolist() for entry in seen] == [
        split_in(cohort.manifest, run.fold).tolist() for run in planned
    ]
    assert [entry.train.seed for entry in seen] == [cohort.train.seed + run.repeat - 1 for run in planned]
    anew = [number for number, entry in enumerate(order) if not isinstance(entry, Cohort)]
    assert anew == [2 * index for index in range(len(planned))], "each training begins anew"


def test_a_second_training_in_a_process_is_that_of_a_training_alone() -> None:
    def drawn() -> tuple[str, list[np.ndarray]]:
        layer = keras.layers.Dense(3)
        layer.build((None, 5))
        return layer.name, [numbers(weight) for weight in layer.weights]

    start_anew(7)
    name, alone = drawn()
    drawn()
    np.random.random()  # noqa: NPY002 - the global state that a training may use
    start_anew(7)
    again, second = drawn()
    assert again == name
    assert all(np.array_equal(one, other) for one, other in zip(alone, second, strict=True))


def test_random_labels_give_chance_in_every_fold(folded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, rng = read_manifest(), np.random.default_rng(7)
    rows.assign(label=rng.permutation(rows["label"])).to_csv(MANIFEST, index=False)
    features = features_folder("mobilenet_v2") / FEATURES
    np.save(features, rng.normal(size=np.load(features).shape).astype(np.float32))
    cohort = cohort_of("mobilenet_v2", FROZEN, with_settings(head="linear"))
    for run in runs_of(cohort.manifest, 1):
        model = {"model": "mobilenet_v2"}
        answers = runs.train_once(model, cohort, run, folded, UNRECORDED, linear.train_head).probabilities
        right, split = answers.argmax(axis=1) == cohort.labels, split_in(cohort.manifest, run.fold).to_numpy()
        assert right[split == "train"].mean() > 0.9, "noise of so many features can be learnt by heart"
        assert right[split == "test"].mean() < 0.7, run
