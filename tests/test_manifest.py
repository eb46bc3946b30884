"""From a dataset's layout to its manifest: labels, groups and splits, and no group in two of them."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from xrays import dicom_file, written

from bonexray.config import Audit, Compute, Dataset, Split
from bonexray.data.allocation import build_manifest, regrouped, require_disjoint
from bonexray.data.audit import Examined, examine
from bonexray.data.grouping import find_copies, groups_of
from bonexray.data.images import write_png16
from bonexray.data.lookalikes import Pair
from bonexray.data.manifest import class_numbers, read_classes, read_manifest, write_manifest
from bonexray.data.phantom import simulate
from bonexray.data.sources import SPLITS, Source, class_order, list_sources
from bonexray.errors import BonexrayError

CLASSES = ["normal", "osteopenia"]
LOCAL = Compute(backend="local", scheduler=None)


def dataset(root: Path, **changes: object) -> Dataset:
    plain = {
        "name": "folder", "root": str(root), "csv": None, "image_column": "image", "label_column": "label",
        "group_column": None, "split_column": None, "group_pattern": None, "classes": None, "reference": None,
        "inputs": [str(root)], "simulated": {},
    }  # fmt: skip
    return Dataset.model_validate({**plain, **changes})


def settings(subset: float = 1.0, seed: int = 7, max_images: int | None = None) -> Split:
    ratios = {"train": 0.6, "val": 0.2, "test": 0.2}
    return Split(ratios=ratios, subset=subset, max_images=max_images, max_bad_fraction=0.2, seed=seed)


def touch(root: Path, *paths: str) -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"x")
    return root


def listed(root: Path, rows: list[str], header: str = "image,label", **columns: str) -> list[Source]:
    (root / "index.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8-sig")
    return list_sources(dataset(root, csv=str(root / "index.csv"), **columns))


def image(
    path: str, label: str = "normal", group: str | None = None, split: str | None = None, sha: str = "", patient=None
):
    return Examined(Source(path, label, group, split), sha or path, None, pixels_sha256=sha or path, patient=patient)


def built(examined: list[Examined], options: Split, crossing: str = "regroup", pairs: Sequence[Pair] = ()):
    """The manifest of what is usable, with the groups that follow from it."""
    usable = [item for item in examined if item.reason is None]
    audit = Audit(neighbours=8, likeness=0.7, crossing=crossing)
    return build_manifest(usable, groups_of(usable, pairs), CLASSES, options, audit)


def cohort(per_class: int, split: str | None = None, prefix: str = "") -> list[Examined]:
    """Unrelated images of both classes, in order of their paths."""
    return [image(f"{name}/{prefix}{n:03}", name, split=split) for name in CLASSES for n in range(per_class)]


def splits_of(rows: pd.DataFrame) -> dict[str, str]:
    return dict(zip(rows["path"], rows["split"], strict=True))


# Layouts


def test_a_folder_a_class(tmp_path: Path) -> None:
    root = touch(
        tmp_path, "b/2.png", "b/1.png", "a/left/3.png", "beside.png", ".hidden/4.png", "a/.DS_Store", "a/Thumbs.db"
    )
    assert list_sources(dataset(root)) == [
        Source("a/left/3.png", "a", None, None),
        Source("b/1.png", "b", None, None),
        Source("b/2.png", "b", None, None),
    ]


@pytest.mark.parametrize("names", [SPLITS, ("train", "valid", "test"), ("Training", "validation", "Testing")])
def test_a_tree_that_comes_split(tmp_path: Path, names: tuple[str, str, str]) -> None:
    root = touch(tmp_path, *(f"{name}/{label}/1.png" for name in names for label in "ab"))
    found = {(source.path, source.label, source.split) for source in list_sources(dataset(root))}
    assert found == {
        (f"{name}/{label}/1.png", label, split) for name, split in zip(names, SPLITS, strict=True) for label in "ab"
    }


def test_a_csv_with_group_and_split(tmp_path: Path) -> None:
    touch(tmp_path, "x/1.png", "x/2.png", "3.png")
    rows = ["x/1.png,a,p1,train", "x/2.png,b,p1,valid", "3.png,b,,"]
    found = listed(tmp_path, rows, "image,label,who,set", group_column="who", split_column="set")
    assert found == [
        Source("3.png", "b", None, None),
        Source("x/1.png", "a", "p1", "train"),
        Source("x/2.png", "b", "p1", "val"),
    ]


def test_a_csv_with_columns_of_other_names(tmp_path: Path) -> None:
    touch(tmp_path, "1.png", "2.png")
    found = listed(tmp_path, ["a,1.png", "b,2.png"], "part,file", image_column="file", label_column="part")
    assert [(source.path, source.label) for source in found] == [("1.png", "a"), ("2.png", "b")]


def test_rows_without_a_label_are_left_out(tmp_path: Path) -> None:
    touch(tmp_path, "1.png", "2.png", "3.png")
    found = listed(tmp_path, ["1.png,a", "2.png,", "3.png,b", "absent.png,", "absent.png"])
    assert [source.path for source in found] == ["1.png", "3.png"]


def test_a_csv_may_not_name_a_link_that_leaves_the_root(tmp_path: Path) -> None:
    root = touch(tmp_path / "root", "1.png")
    (root / "2.png").symlink_to(touch(tmp_path, "outside.png") / "outside.png")
    with pytest.raises(BonexrayError, match=r"line 3: expected a file inside .*2\.png, outside"):
        listed(root, ["1.png,a", "2.png,b"])


def test_a_pattern_names_the_group(tmp_path: Path) -> None:
    root = touch(tmp_path, "a/p01_l.png", "a/p01_r.png", "b/p02_l.png", "b/other.png")
    groups = {source.path: source.group for source in list_sources(dataset(root, group_pattern=r"(p\d+)_"))}
    assert groups == {"a/p01_l.png": "p01", "a/p01_r.png": "p01", "b/p02_l.png": "p02", "b/other.png": None}


def test_classes_keep_the_order_they_are_given_in(tmp_path: Path) -> None:
    root = touch(tmp_path, "severe/1.png", "healthy/1.png", "mild/1.png")
    given_order = dataset(root, classes=["mild", "severe", "healthy"])
    classes = class_order(given_order, list_sources(given_order))
    assert classes == ["mild", "severe", "healthy"]
    assert class_numbers(pd.Series(["healthy", "mild", "severe", "mild"]), classes).tolist() == [2, 0, 1, 0]
    assert class_order(dataset(root), list_sources(dataset(root))) == ["healthy", "mild", "severe"]


@pytest.mark.parametrize("classes", [["a"], ["a", "b", "c"], ["a", "B"], []])
def test_classes_that_are_not_those_of_the_data_are_refused(tmp_path: Path, classes: list[str]) -> None:
    root = touch(tmp_path, "a/1.png", "b/1.png")
    with pytest.raises(BonexrayError, match=r"dataset\.classes: expected exactly the labels of the data: a, b"):
        list_sources(dataset(root, classes=classes))


# Groups


def test_patients_and_bytes_link_images_in_a_chain() -> None:
    items = [
        image("1", group="p1"),
        image("2", group="p1", sha="same"),
        image("3", group="p2", sha="same"),
        image("4", group="p2"),
        image("5"),
        image("6", sha="twin"),
        image("7", sha="twin"),
    ]
    numbers = groups_of(items).tolist()
    assert len(set(numbers[:4])) == 1
    assert numbers[5] == numbers[6]
    assert len({numbers[0], numbers[4], numbers[5]}) == 3


def test_bytes_and_contradictions_are_found_in_files(tmp_path: Path) -> None:
    sources = []
    for name, label, seed in [("1", "a", 0), ("2", "a", 0), ("3", "a", 1), ("4", "b", 1), ("5", "b", 2)]:
        write_png16(tmp_path / name, np.random.default_rng(seed).random((8, 8)))
        sources.append(Source(name, label, None, None))
    found = examine(tmp_path, sources, LOCAL)
    assert [item.source for item in found] == sources
    assert [item.reason is None for item in found] == [True, True, False, False, True]
    assert found[0].sha256 == found[1].sha256 != found[4].sha256


def test_names_patients_and_bytes_link_images_in_a_chain() -> None:
    linked = [
        image("1", group="knee 1", patient="k1"),
        image("2", patient="k1"),
        image("3", group="knee 1", sha="same"),
        image("4", patient="k2", sha="same"),
        image("5", patient="k2"),
    ]
    apart = [image("6", group="k1"), image("7", patient="knee 1"), image("8")]
    numbers = groups_of(linked + apart).tolist()
    assert len(set(numbers[:5])) == 1
    assert len(set(numbers[4:])) == 4


def test_a_dicom_patient_is_a_group_whose_key_no_manifest_holds(tmp_path: Path) -> None:
    sources = []
    for number in range(12):
        label, patient = CLASSES[number % 2], ["SECRET-123", f"other {number}"][number > 3]
        stored = np.random.default_rng(number).integers(0, 65_536, (8, 8), np.uint16)
        written(tmp_path / label / f"{number:02}.dcm", dicom_file(stored, PatientID=patient))
        sources.append(Source(f"{label}/{number:02}.dcm", label, None, None))
    runs = [examine(tmp_path, sources, LOCAL) for _ in range(2)]
    assert not {item.patient for item in runs[0]} & {item.patient for item in runs[1]}
    one, other = (built(run, settings()).to_csv() for run in runs)
    assert one == other
    rows = built(runs[0], settings()).set_index("path")
    assert rows.loc[[source.path for source in sources[:4]], ["group", "split"]].drop_duplicates().shape == (1, 2)
    assert rows["group"].nunique() == 9
    for text in ("SECRET-123", hashlib.sha256(b"SECRET-123").hexdigest(), *(item.patient for item in runs[0])):
        assert text not in one
        assert text not in repr(runs[0])


def test_what_is_known_of_a_file_is_kept(tmp_path: Path) -> None:
    write_png16(tmp_path / "good.png", np.linspace(0, 1, 12).reshape(3, 4))
    written(tmp_path / "bad.png", b"<html>")
    sources = [Source(name, "a", None, None) for name in ("good.png", "bad.png")]
    good, bad = examine(tmp_path, sources, LOCAL)
    assert (good.height, good.width, good.file_format, good.mode, good.patient) == (3, 4, "PNG", "I;16", None)
    assert good.file_bytes == (tmp_path / "good.png").stat().st_size
    assert good.mean == pytest.approx(0.5, abs=1e-4)
    assert (bad.height, bad.width, bad.file_format, bad.mode, bad.file_bytes) == (0, 0, "", "", 0)
    assert np.isnan(bad.mean)


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
def test_no_group_and_no_bytes_stand_in_two_splits(drawn: list, bring: bool, subset: float, seed: int) -> None:
    base = [item for split in SPLITS for item in cohort(1, split if bring else None, prefix=split)]
    drawn_images = [
        image(f"drawn/{n}", label, group, split if bring else None, sha)
        for n, (label, group, sha, split) in enumerate(drawn)
    ]
    examined = base + drawn_images
    split = splits_of(built(examined, settings(subset, seed)))
    for key in (lambda item: item.source.group, lambda item: item.sha256):
        for value in {key(item) for item in examined} - {None}:
            assert len({split.get(item.source.path) for item in examined if key(item) == value}) == 1
    assert set(split.values()) == set(SPLITS)
    if subset == 1:
        assert set(split) == {item.source.path for item in examined}


@pytest.mark.parametrize("key", ["group", "sha256"])
def test_a_leaky_manifest_is_refused(key: str) -> None:
    rows = built(cohort(5), settings())
    require_disjoint(rows)
    train, test = (rows.index[rows["split"] == split][0] for split in ("train", "test"))
    rows.loc[test, key] = rows.loc[train, key]
    with pytest.raises(BonexrayError, match=f"expected each {key} in one split only, received .* in 2; "):
        require_disjoint(rows)


def test_the_manifest_holds_each_usable_image_once_with_its_facts() -> None:
    bad = Examined(Source("normal/bad", "normal", None, None), "h", "empty file")
    rows = built([*cohort(5), bad], settings())
    assert list(rows.columns) == ["id", "path", "label", "group", "split", "sha256"]
    assert rows["path"].tolist() == [item.source.path for item in cohort(5)]
    assert rows["label"].tolist() == [item.source.label for item in cohort(5)]
    assert rows["id"].is_unique
    assert rows["split"].value_counts().to_dict() == {"train": 6, "val": 2, "test": 2}


def test_more_images_rename_none() -> None:
    few, more = (built(cohort(number), settings()) for number in (4, 9))
    ids = dict(zip(more["path"], more["id"], strict=True))
    assert [ids[path] for path in few["path"]] == few["id"].tolist()


def test_a_split_that_comes_with_the_dataset_is_kept() -> None:
    examined = cohort(2, "train", "a") + cohort(1, "val", "b") + cohort(3, "test", "c")
    rows = built(examined, settings())
    assert splits_of(rows) == {item.source.path: item.source.split for item in examined}
    assert regrouped(examined, rows) == 0


def test_a_group_on_both_sides_of_a_given_split_goes_whole_to_train() -> None:
    torn = [image(f"torn/{n}", group="p1", split=split) for n, split in enumerate(["train", "test", "test", "val"])]
    twins = [image(f"twin/{n}", "osteopenia", split=split, sha="same") for n, split in enumerate(["val", "test"])]
    examined = [item for split in SPLITS for item in cohort(2, split, prefix=split)] + torn + twins
    rows = built(examined, settings())
    split = splits_of(rows)
    assert {split[item.source.path] for item in torn + twins} == {"train"}
    assert regrouped(examined, rows) == 3 + 2


def test_validation_is_taken_out_of_train_where_the_dataset_has_none() -> None:
    examined = cohort(8, "train", "a") + cohort(2, "test", "b")
    split = splits_of(built(examined, settings()))
    assert {path for path, name in split.items() if name == "test"} == {
        item.source.path for item in cohort(2, prefix="b")
    }
    assert sum(name == "val" for name in split.values()) == 4  # 0.2 of 0.6 + 0.2, of 16
    assert {path.split("/")[0] for path, name in split.items() if name == "val"} == set(CLASSES)


def test_a_class_that_only_test_has_is_refused() -> None:
    examined = [item for split in SPLITS for item in cohort(3, split, split)]
    examined = [item for item in examined if item.source.label == "normal" or item.source.split == "test"]
    with pytest.raises(BonexrayError, match="received no osteopenia in train"):
        built(examined, settings())


@pytest.mark.parametrize("subset", [0.5, 0.001])
def test_a_subset_is_smaller_and_keeps_every_class_in_every_split(subset: float) -> None:
    whole = built(cohort(20), settings())
    part = built(cohort(20), settings(subset))
    assert len(part) == (20 if subset == 0.5 else 6)
    assert set(zip(part["split"], part["label"], strict=True)) == {(s, name) for s in SPLITS for name in CLASSES}
    assert splits_of(part).items() <= splits_of(whole).items()


@pytest.mark.parametrize(("most", "expected"), [(None, 40), (1000, 40), (20, 20), (1, 6)])
def test_a_study_may_be_bounded_by_its_number_of_images(most: int | None, expected: int) -> None:
    rows = built(cohort(20), settings(max_images=most))
    assert len(rows) == expected
    assert set(zip(rows["split"], rows["label"], strict=True)) == {(s, name) for s in SPLITS for name in CLASSES}


def test_a_subset_of_a_split_that_lacks_a_class_is_taken_all_the_same() -> None:
    examined = [item for split in SPLITS for item in cohort(4, split, split)]
    examined = [item for item in examined if item.source.label == "normal" or item.source.split != "val"]
    rows = built(examined, settings(0.5))
    assert set(rows["split"]) == set(SPLITS)
    assert len(rows) == 10


def test_the_split_depends_on_the_seed_alone() -> None:
    one, same, other = (splits_of(built(cohort(20), settings(seed=seed))) for seed in (1, 1, 2))
    assert one == same != other


def test_a_written_manifest_comes_back_as_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    examined = [image(f"{name}/{n}", name, group=f"{n:04}") for n, name in enumerate(CLASSES * 3)]
    rows = built(examined, settings())
    write_manifest(rows, CLASSES)
    pd.testing.assert_frame_equal(read_manifest(), rows.astype(str), check_dtype=False)
    assert read_manifest()["group"].tolist() == ["0000", "0001", "0002", "0003", "0004", "0005"]
    assert read_classes() == CLASSES


@pytest.mark.parametrize(("pattern", "together", "apart"), [
    (r"([^/]+?)(?:-rotated\d+)?\.\w+$", ["a/knee7.png", "a/knee7-rotated12.png", "a/knee7-rotated3.png"], "a/knee71.png"),
    (r"([^/]+)\.rf\.[0-9a-f]+", ["a/knee7_png.rf.2c6a3cfe.jpg", "b/knee7_png.rf.0219308e.jpg"], "a/knee8_png.rf.2c6a.jpg"),
])  # fmt: skip
def test_the_readmes_patterns_name_augmented_copies(
    pattern: str, together: list[str], apart: str, tmp_path: Path
) -> None:
    assert f'"{pattern}"' in Path(__file__).parents[1].joinpath("README.md").read_text(encoding="utf-8")
    touch(tmp_path, *together, apart, "b/x.png")
    groups = {source.path: source.group for source in list_sources(dataset(tmp_path, group_pattern=pattern))}
    assert len({groups[path] for path in together}) == 1
    assert groups[apart] != groups[together[0]]


# What stands on both sides of a split that came with the dataset


def pre_split() -> list[Examined]:
    """Six patients a class and split; the pictures 0 and 100 are one, of validation and of test."""
    names = [(split, label, number) for split in SPLITS for label in CLASSES for number in range(6)]
    return [image(f"{s}/{c}/{n}", c, group=f"{s} {c} {n}", split=s) for s, c, n in names]


COPY = Pair(12, 24, 0.9)  # of val/normal/0 and test/normal/0


@pytest.mark.parametrize(("policy", "expected"), [
    ("regroup", {"val/normal/0": "train", "test/normal/0": "train"}),
    ("drop", {"test/normal/0": "test"}),
    ("trust", {"val/normal/0": "val", "test/normal/0": "test"}),
])  # fmt: skip
def test_a_copy_in_another_split_is_treated_as_asked(policy: str, expected: dict[str, str]) -> None:
    rows = built(pre_split(), settings(), policy, [COPY])
    split = splits_of(rows)
    assert {path: split[path] for path in ("val/normal/0", "test/normal/0") if path in split} == expected
    assert {path: name for path, name in split.items() if path not in expected} == {
        item.source.path: item.source.split
        for item in pre_split()
        if item.source.path not in ("val/normal/0", "test/normal/0")
    }
    assert len(set(rows.set_index("path").loc[list(expected), "group"])) == 1


def test_a_copy_in_another_split_can_be_refused() -> None:
    with pytest.raises(BonexrayError, match="2 images of 1 groups on several: val/normal/0 and test/normal/0"):
        built(pre_split(), settings(), "refuse", [COPY])
    assert len(built(pre_split(), settings(), "refuse")) == 36


def test_the_same_pixels_in_another_file_share_a_group(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 40), np.uint8)
    for name in ("1.png", "2.bmp"):
        Image.fromarray(pixels).save(tmp_path / name)
    found = examine(tmp_path, [Source(name, "a", None, None) for name in ("1.png", "2.bmp")], LOCAL)
    assert found[0].sha256 != found[1].sha256
    assert len(set(groups_of(found))) == 1


def test_copies_are_named_by_their_places_among_the_images(tmp_path: Path) -> None:
    radiographs = [radiograph.noisy for radiograph in simulate(12, 96, 400.0, 2.0, 7)][:12]
    pictures = [radiographs[0], radiographs[0], *radiographs[1:10], radiographs[5][:, ::-1]]
    for number, picture in enumerate(pictures):
        write_png16(tmp_path / f"{number:02}.png", picture)
    found = examine(tmp_path, [Source(f"{n:02}.png", "a", None, None) for n in range(len(pictures))], LOCAL)
    pairs = find_copies(found, Audit(neighbours=8, likeness=0.7, crossing="regroup"), LOCAL)
    assert [(pair.one, pair.other) for pair in pairs] == [(6, 11)]
    groups = groups_of(found, pairs)
    assert groups[0] == groups[1] != groups[6] == groups[11]
    assert len(set(groups)) == 10
