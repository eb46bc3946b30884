"""The predictions of a trained model, from which all its scores are computed."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from bonexray.data.folds import FIRST, Run, split_in

TEXTS = ["id", "path", "group", "split", "label", "predicted"]
FIXED = ["repeat", "fold", *TEXTS]


def write_predictions(
    path: Path, manifest: pd.DataFrame, probabilities: Mapping[Run, np.ndarray], classes: list[str]
) -> None:
    """Write one row for each image and training: split, predicted class and probabilities.

    Args:
        path: of the CSV file.
        manifest: one row for each image.
        probabilities: float (images, classes) for each training, in the order of the manifest.
        classes: the class map.
    """
    tables = [_rows(manifest, run, values, classes) for run, values in probabilities.items()]
    pd.concat(tables).to_csv(path, index=False, lineterminator="\n")


def read_predictions(path: Path, classes: list[str]) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the rows that `write_predictions` wrote, and the probabilities as float (rows, classes)."""
    columns = [f"prob_{name}" for name in classes]
    rows = pd.read_csv(path, dtype=dict.fromkeys(TEXTS, str), keep_default_na=False)
    values = rows[columns].to_numpy(dtype=float)
    return rows[FIXED], values / values.sum(axis=1, keepdims=True)  # the file holds rounded digits


def first_training(rows: pd.DataFrame, probabilities: np.ndarray) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the rows and probabilities of the first training, whose weights are kept as the model's."""
    first = ((rows["repeat"] == FIRST.repeat) & (rows["fold"] == FIRST.fold)).to_numpy()
    return rows[first].reset_index(drop=True), probabilities[first]


def _rows(manifest: pd.DataFrame, run: Run, values: np.ndarray, classes: list[str]) -> pd.DataFrame:
    rows = manifest[["id", "path", "group", "split", "label"]].copy()
    rows["split"] = split_in(manifest, run.fold)
    rows.insert(0, "repeat", run.repeat)
    rows.insert(1, "fold", run.fold)
    rows["predicted"] = np.asarray(classes)[values.argmax(axis=1)]
    for number, name in enumerate(classes):
        rows[f"prob_{name}"] = [f"{value:.8f}" for value in values[:, number]]
    return rows
