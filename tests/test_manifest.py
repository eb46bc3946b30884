"""The manifest: every usable image once, and each group in one split."""

from pathlib import Path

import pandas as pd
import pytest
from audited import CLASSES, built, cohort, image, settings, splits_of
from hypothesis import given
from hypothesis import strategies as st

from bonexray.base.errors import BonexrayError
from bonexray.data.manifest import SPLITS, read_classes, read_manifest, write_manifest
from bonexray.dataset.source import Source
from bonexray.split.allocation import count_regrouped, require_disjoint
from bonexray.split.audit import AuditedImage

# The manifest

IMAGES = st.lists(
    st.tuples(
        st.sampled_from(CLASSES),
        st.sampled_from([None, "p1", "p2", "p3", "p4", "p5"]),
        st.sampled_from(["", "", "x", "y", "z"]),
        st.sampled_from([None, *SPLITS]),
    ),
    max_size=30,
)


@given(drawn=IMAGES, bring=st.booleans(), subset=st.sampled_from([1.0, 0.5, 0.01]), seed=st.integers(0, 1000))
def test_no_group_and_no_file_is_in_two_splits(drawn: list, bring: bool, subset: float, seed: int) -> None:
    base = [item for split in SPLITS for item in cohort(1, split if bring else None, prefix=split)]
    drawn_images = [
        image(f"drawn/{n}", label, group, split if bring else None, sha)
        for n, (label, group, sha, split) in enumerate(drawn)
    ]
    audited = base + drawn_images
    split = splits_of(built(audited, settings(subset, seed)))
    for key in (lambda item: item.source.group, lambda item: item.sha256):
        for value in {key(item) for item in audited} - {None}:
            assert len({split.get(item.source.path) for item in audited if key(item) == value}) == 1
    assert set(split.values()) == set(SPLITS)
    if subset == 1:
        assert set(split) == {item.source.path for item in audited}


@pytest.mark.parametrize("key", ["group", "sha256"])
def test_a_leaky_manifest_is_refused(key: str) -> None:
    rows = built(cohort(5), settings())
    require_disjoint(rows)
    train, test = (rows.index[rows["split"] == split][0] for split in ("train", "test"))
    rows.loc[test, key] = rows.loc[train, key]
    with pytest.raises(BonexrayError, match=f"expected each {key} in one split only, received .* in 2; "):
        require_disjoint(rows)


def test_the_manifest_holds_each_usable_image_once_with_its_facts() -> None:
    bad = AuditedImage(Source("normal/bad", "normal", None, None), "h", "empty file")
    rows = built([*cohort(5), bad], settings())
    assert list(rows.columns) == ["id", "path", "label", "group", "split", "fold", "sha256", "remarks"]
    assert rows["path"].tolist() == [item.source.path for item in cohort(5)]
    assert rows["label"].tolist() == [item.source.label for item in cohort(5)]
    assert rows["id"].is_unique
    assert rows["split"].value_counts().to_dict() == {"train": 6, "val": 2, "test": 2}


def test_new_images_do_not_change_ids() -> None:
    few, more = (built(cohort(number), settings()) for number in (4, 9))
    ids = dict(zip(more["path"], more["id"], strict=True))
    assert [ids[path] for path in few["path"]] == few["id"].tolist()


def test_the_split_of_the_dataset_is_kept() -> None:
    audited = cohort(2, "train", "a") + cohort(1, "val", "b") + cohort(3, "test", "c")
    rows = built(audited, settings())
    assert splits_of(rows) == {item.source.path: item.source.split for item in audited}
    assert count_regrouped(audited, rows) == 0


def test_a_group_that_crosses_the_splits_moves_to_train() -> None:
    torn = [image(f"torn/{n}", group="p1", split=split) for n, split in enumerate(["train", "test", "test", "val"])]
    twins = [image(f"twin/{n}", "osteopenia", split=split, sha="same") for n, split in enumerate(["val", "test"])]
    audited = [item for split in SPLITS for item in cohort(2, split, prefix=split)] + torn + twins
    rows = built(audited, settings())
    split = splits_of(rows)
    assert {split[item.source.path] for item in torn + twins} == {"train"}
    assert count_regrouped(audited, rows) == 3 + 2


def test_validation_is_taken_from_train_if_the_dataset_has_none() -> None:
    audited = cohort(8, "train", "a") + cohort(2, "test", "b")
    split = splits_of(built(audited, settings()))
    assert {path for path, name in split.items() if name == "test"} == {
        item.source.path for item in cohort(2, prefix="b")
    }
    assert sum(name == "val" for name in split.values()) == 4  # 0.2 of 0.6 + 0.2, of 16
    assert {path.split("/")[0] for path, name in split.items() if name == "val"} == set(CLASSES)


def test_a_class_that_only_test_has_is_refused() -> None:
    audited = [item for split in SPLITS for item in cohort(3, split, split)]
    audited = [item for item in audited if item.source.label == "normal" or item.source.split == "test"]
    with pytest.raises(BonexrayError, match="received no osteopenia in train"):
        built(audited, settings())


@pytest.mark.parametrize("subset", [0.5, 0.001])
def test_a_subset_is_smaller_and_keeps_every_class_in_every_split(subset: float) -> None:
    whole = built(cohort(20), settings())
    part = built(cohort(20), settings(subset))
    assert len(part) == (20 if subset == 0.5 else 6)
    assert set(zip(part["split"], part["label"], strict=True)) == {(s, name) for s in SPLITS for name in CLASSES}
    assert splits_of(part).items() <= splits_of(whole).items()


@pytest.mark.parametrize(("most", "expected"), [(None, 40), (1000, 40), (20, 20), (1, 6)])
def test_the_number_of_images_can_be_limited(most: int | None, expected: int) -> None:
    rows = built(cohort(20), settings(max_images=most))
    assert len(rows) == expected
    assert set(zip(rows["split"], rows["label"], strict=True)) == {(s, name) for s in SPLITS for name in CLASSES}


def test_a_subset_of_a_split_can_lack_a_class() -> None:
    audited = [item for split in SPLITS for item in cohort(4, split, split)]
    audited = [item for item in audited if item.source.label == "normal" or item.source.split != "val"]
    rows = built(audited, settings(0.5))
    assert set(rows["split"]) == set(SPLITS)
    assert len(rows) == 10


def test_the_split_depends_on_the_seed_alone() -> None:
    one, same, other = (splits_of(built(cohort(20), settings(seed=seed))) for seed in (1, 1, 2))
    assert one == same != other


def test_a_written_manifest_comes_back_as_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    audited = [image(f"{name}/{n}", name, group=f"{n:04}") for n, name in enumerate(CLASSES * 3)]
    rows = built(audited, settings())
    write_manifest(rows, CLASSES)
    pd.testing.assert_frame_equal(read_manifest(), rows.astype(str), check_dtype=False)
    assert read_manifest()["group"].tolist() == ["0000", "0001", "0002", "0003", "0004", "0005"]
    assert read_classes() == CLASSES
