"""The manifest: every image of the study once, with its label, group and split."""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd

from bonexray.files import atomic_file, read_json, write_json

MANIFEST = Path("data/split/manifest.csv")
CLASSES = Path("data/split/classes.json")
SPLITS = ("train", "val", "test")
COLUMNS = ["id", "path", "label", "group", "split", "fold", "sha256"]


def image_id(path: str) -> str:
    """A short name for an image that depends on its path alone, so that adding images renames none."""
    return hashlib.sha256(path.encode()).hexdigest()[:16]


def write_manifest(rows: pd.DataFrame, classes: list[str], *, leak_suspect: bool = False) -> None:
    """Write the manifest and the class map, with a mark where copies or patients stand on both sides of the split."""
    with atomic_file(MANIFEST) as partial:
        rows.to_csv(partial, index=False, lineterminator="\n")
    write_json(CLASSES, {"classes": classes, "leak_suspect": leak_suspect})


def read_manifest(path: Path = MANIFEST) -> pd.DataFrame:
    """Read the manifest; every column is text."""
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def read_classes(path: Path = CLASSES) -> list[str]:
    """Read the class map: a class's place in the list is its number."""
    return read_json(path)["classes"]


def read_leak_suspect(path: Path = CLASSES) -> bool:
    """Whether copies or patients stand on both sides of the split and are trusted."""
    return read_json(path)["leak_suspect"]


def class_numbers(labels: pd.Series, classes: list[str]) -> np.ndarray:
    """Labels as int (images,), by their place in the class map."""
    return labels.map({name: number for number, name in enumerate(classes)}).to_numpy(dtype=np.int64)
