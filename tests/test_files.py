"""Atomic files and folders, JSON and hashes."""

import hashlib
import json
import math
from pathlib import Path

import numpy as np
import pytest

from bonexray.base.files import PARTIAL, atomic_file, atomic_folder, read_json, write_json
from bonexray.base.hashing import digest, sha256_of


def content(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_a_complete_folder_replaces_the_old_one(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").write_text("old")
    with atomic_folder(tmp_path / "out") as folder:
        (folder / "new").write_text("new")
        assert content(tmp_path / "out") == {"old": "old"}
    assert content(tmp_path) == {"out/new": "new"}


def test_a_folder_is_made_with_its_parents(tmp_path: Path) -> None:
    with atomic_folder(tmp_path / "a" / "b") as folder:
        (folder / "x").write_text("x")
    assert content(tmp_path) == {"a/b/x": "x"}


def test_an_error_leaves_the_old_folder_in_place(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").write_text("old")
    with pytest.raises(KeyboardInterrupt), atomic_folder(tmp_path / "out") as folder:
        (folder / "half").write_text("half")
        raise KeyboardInterrupt
    assert content(tmp_path / "out") == {"old": "old"}


def test_an_error_leaves_no_new_folder(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), atomic_folder(tmp_path / "out"):
        raise RuntimeError
    assert not (tmp_path / "out").exists()


def test_the_remains_of_a_killed_run_are_removed(tmp_path: Path) -> None:
    left = tmp_path / f"out{PARTIAL}"
    left.mkdir()
    (left / "half").write_text("half")
    with atomic_folder(tmp_path / "out") as folder:
        (folder / "new").write_text("new")
    assert content(tmp_path) == {"out/new": "new"}
    assert not left.exists()


def test_a_complete_file_replaces_the_old_one(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "weights.h5"
    for text in ("old", "new"):
        with atomic_file(target) as partial:
            assert partial.suffix == ".h5"
            partial.write_text(text)
    assert content(tmp_path) == {"deep/weights.h5": "new"}


def test_an_error_leaves_the_old_file_in_place(tmp_path: Path) -> None:
    target = tmp_path / "table.csv"
    target.write_text("old")
    with pytest.raises(RuntimeError), atomic_file(target) as partial:
        partial.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old"


@pytest.mark.parametrize("name", [".gitignore", ".dvcignore"])
def test_partial_outputs_are_ignored(name: str) -> None:
    text = (Path(__file__).resolve().parents[1] / name).read_text()
    assert PARTIAL in text


def test_a_number_that_is_not_finite_becomes_null(tmp_path: Path) -> None:
    numbers = {"b": math.nan, "a": [math.inf, np.float32(0.5), np.int64(3)], "c": {"d": np.float64("nan")}}
    write_json(tmp_path / "x.json", numbers)
    text = (tmp_path / "x.json").read_text()
    assert json.loads(text, parse_constant=pytest.fail) == {"b": None, "a": [None, 0.5, 3], "c": {"d": None}}
    assert read_json(tmp_path / "x.json") == json.loads(text)
    assert text.index('"b"') < text.index('"a"') < text.index('"c"')


def test_the_hash_of_a_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    data = bytes(range(256)) * 1000
    (tmp_path / "x").write_bytes(data)
    assert sha256_of(tmp_path / "x") == hashlib.sha256(data).hexdigest()


def test_a_digest_does_not_depend_on_the_order_of_keys() -> None:
    one, same, other = {"a": 1, "b": {"c": 2, "d": 3}}, {"b": {"d": 3, "c": 2}, "a": 1}, {"a": 1, "b": {"c": 2, "d": 4}}
    assert digest(one) == digest(same) != digest(other)
