"""The manifest, a table with one row for each image of the study: its label, group and split."""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd

from bonexray.base.files import atomic_file, read_json, write_json
from bonexray.data.paths import CLASSES, MANIFEST

SPLITS = ("train", "val", "test")
COLUMNS = ["id", "path", "label", "group", "split", "fold", "sha256", "remarks"]


def image_id(path: str) -> str:
    """Return an image's id: a hash of its path, which stays the same when other images are added."""
    return hashlib.sha256(path.encode()).hexdigest()[:16]


def write_manifest(rows: pd.DataFrame, classes: list[str], *, leak_suspect: bool = False) -> None:
    """Write the manifest and the class map.

    Args:
        rows: with the columns `COLUMNS`.
        classes: names; a class's index in this list is its number.
        leak_suspect: whether copies or patients appear in several splits.
    """
    with atomic_file(MANIFEST) as partial:
        rows.to_csv(partial, index=False, lineterminator="\n")
    write_json(CLASSES, {"classes": classes, "leak_suspect": leak_suspect})


def read_manifest(path: Path = MANIFEST) -> pd.DataFrame:
    """Return the manifest; every column is text."""
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def read_classes(path: Path = CLASSES) -> list[str]:
    """Return the class map; a class's index in the list is its number."""
    return read_json(path)["classes"]


def read_leak_suspect(path: Path = CLASSES) -> bool:
    """Return whether copies or patients appear in several splits, so that test scores may be too high."""
    return read_json(path)["leak_suspect"]


def class_numbers(labels: pd.Series, classes: list[str]) -> np.ndarray:
    """Return labels as int (images,), the index of each in the class map."""
    return labels.map({name: number for number, name in enumerate(classes)}).to_numpy(dtype=np.int64)
