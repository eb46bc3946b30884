"""The probabilities that training leaves: the one file that every number comes from."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from bonexray.data.folds import FIRST, Run, split_in

PREDICTIONS = "predictions.csv"
TEXTS = ["id", "path", "group", "split", "label", "predicted"]
FIXED = ["repeat", "fold", *TEXTS]


def write_predictions(
    path: Path, manifest: pd.DataFrame, probabilities: Mapping[Run, np.ndarray], classes: list[str]
) -> None:
    """Write a row an image and training: its split there, the predicted class and the probabilities.

    Args:
        path: the CSV to write.
        manifest: one row an image.
        probabilities: of each training, float (images, classes), in the manifest's order.
        classes: the class map.
    """
    tables = [_rows(manifest, run, values, classes) for run, values in probabilities.items()]
    pd.concat(tables).to_csv(path, index=False, lineterminator="\n")


def read_predictions(path: Path, classes: list[str]) -> tuple[pd.DataFrame, np.ndarray]:
    """Read what `write_predictions` wrote: the rows, and the probabilities as float (rows, classes)."""
    columns = [f"prob_{name}" for name in classes]
    rows = pd.read_csv(path, dtype=dict.fromkeys(TEXTS, str), keep_default_na=False)
    values = rows[columns].to_numpy(dtype=float)
    return rows[FIXED], values / values.sum(axis=1, keepdims=True)  # the digits in the file sum to 1 but for rounding


def first_training(rows: pd.DataFrame, probabilities: np.ndarray) -> tuple[pd.DataFrame, np.ndarray]:
    """Of what `read_predictions` gives, the training whose weights are kept as the model's: a row an image."""
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
