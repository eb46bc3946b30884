"""Labels, groups and splits from the layout of a dataset."""

import os
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bonexray.base.errors import BonexrayError
from bonexray.data.manifest import SPLITS, class_numbers
from bonexray.dataset.names import escaped, name_problem
from bonexray.dataset.settings import Dataset
from bonexray.dataset.source import Source
from bonexray.dataset.sources import class_order, list_sources


def dataset(root: Path, **changes: object) -> Dataset:
    plain = {
        "name": "folder",
        "root": str(root),
        "csv": None,
        "image_column": "image",
        "label_column": "label",
        "group_column": None,
        "split_column": None,
        "group_pattern": None,
        "classes": None,
        "ordered": False,
        "reference": None,
        "inputs": [str(root)],
        "simulated": {},
    }
    return Dataset.model_validate({**plain, **changes})


def touch(root: Path, *paths: str) -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"x")
    return root


def listed(root: Path, rows: list[str], header: str = "image,label", **columns: str) -> list[Source]:
    (root / "index.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8-sig")
    return list_sources(dataset(root, csv=str(root / "index.csv"), **columns))


# Layouts


def test_one_folder_for_each_class(tmp_path: Path) -> None:
    root = touch(
        tmp_path, "b/2.png", "b/1.png", "a/left/3.png", "beside.png", ".hidden/4.png", "a/.DS_Store", "a/Thumbs.db"
    )
    assert list_sources(dataset(root)) == [
        Source("a/left/3.png", "a", None, None),
        Source("b/1.png", "b", None, None),
        Source("b/2.png", "b", None, None),
    ]


@pytest.mark.parametrize("names", [SPLITS, ("train", "valid", "test"), ("Training", "validation", "Testing")])
def test_folders_for_splits(tmp_path: Path, names: tuple[str, str, str]) -> None:
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


def test_a_csv_with_other_column_names(tmp_path: Path) -> None:
    touch(tmp_path, "1.png", "2.png")
    found = listed(tmp_path, ["a,1.png", "b,2.png"], "part,file", image_column="file", label_column="part")
    assert [(source.path, source.label) for source in found] == [("1.png", "a"), ("2.png", "b")]


def test_rows_without_a_label_are_left_out(tmp_path: Path) -> None:
    touch(tmp_path, "1.png", "2.png", "3.png")
    found = listed(tmp_path, ["1.png,a", "2.png,", "3.png,b", "absent.png,", "absent.png"])
    assert [source.path for source in found] == ["1.png", "3.png"]


def test_a_csv_cannot_name_a_link_that_leaves_the_root(tmp_path: Path) -> None:
    root = touch(tmp_path / "root", "1.png")
    (root / "2.png").symlink_to(touch(tmp_path, "outside.png") / "outside.png")
    with pytest.raises(BonexrayError, match=r"line 3: expected a file inside .*2\.png, outside"):
        listed(root, ["1.png,a", "2.png,b"])


def test_a_pattern_names_the_group(tmp_path: Path) -> None:
    root = touch(tmp_path, "a/p01_l.png", "a/p01_r.png", "b/p02_l.png", "b/other.png")
    groups = {source.path: source.group for source in list_sources(dataset(root, group_pattern=r"(p\d+)_"))}
    assert groups == {"a/p01_l.png": "p01", "a/p01_r.png": "p01", "b/p02_l.png": "p02", "b/other.png": None}


def test_classes_keep_their_order(tmp_path: Path) -> None:
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


@pytest.mark.parametrize(
    ("pattern", "together", "apart"),
    [
        (
            r"([^/]+?)(?:-rotated\d+)?\.\w+$",
            ["a/knee7.png", "a/knee7-rotated12.png", "a/knee7-rotated3.png"],
            "a/knee71.png",
        ),
        (
            r"([^/]+)\.rf\.[0-9a-f]+",
            ["a/knee7_png.rf.2c6a3cfe.jpg", "b/knee7_png.rf.0219308e.jpg"],
            "a/knee8_png.rf.2c6a.jpg",
        ),
    ],
)
def test_the_pages_patterns_name_augmented_copies(
    pattern: str, together: list[str], apart: str, tmp_path: Path
) -> None:
    assert f'"{pattern}"' in Path(__file__).parents[1].joinpath("docs/your-xrays.md").read_text(encoding="utf-8")
    touch(tmp_path, *together, apart, "b/x.png")
    groups = {source.path: source.group for source in list_sources(dataset(tmp_path, group_pattern=pattern))}
    assert len({groups[path] for path in together}) == 1
    assert groups[apart] != groups[together[0]]


# Names


def test_a_class_whose_name_cannot_be_printed_is_refused(tmp_path: Path) -> None:
    root = touch(tmp_path, "a/1.png", os.fsdecode(b"gesch\xfctzt") + "/1.png")
    with pytest.raises(
        BonexrayError, match=r"class 'gesch\\xfctzt'.*received a name that is not UTF-8 text; rename it"
    ):
        list_sources(dataset(root))


@pytest.mark.parametrize("name", ["knie.png", "Knochen, 'links' \"2\".png", "膝.png", "é" * 127, "a|b`c.png"])
def test_most_names_are_accepted(name: str) -> None:
    assert name_problem(name) is None
    assert escaped(name) == name


@given(st.binary(min_size=1, max_size=40))
def test_any_escaped_name_can_be_written(name: bytes) -> None:
    shown = escaped(os.fsdecode(name))
    assert name_problem(shown) is None
    assert shown.encode().decode() == shown
