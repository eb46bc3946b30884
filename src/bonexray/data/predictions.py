"""The probabilities that training leaves: the one file that every number comes from."""

from pathlib import Path

import numpy as np
import pandas as pd

PREDICTIONS = "predictions.csv"
FIXED = ["id", "path", "group", "split", "label", "predicted"]


def write_predictions(path: Path, manifest: pd.DataFrame, probabilities: np.ndarray, classes: list[str]) -> None:
    """Write a row an image: what the manifest says of it, the predicted class and the probabilities.

    Args:
        path: the CSV to write.
        manifest: one row an image.
        probabilities: float (images, classes), in the manifest's order.
        classes: the class map.
    """
    rows = manifest[["id", "path", "group", "split", "label"]].copy()
    rows["predicted"] = np.asarray(classes)[probabilities.argmax(axis=1)]
    for number, name in enumerate(classes):
        rows[f"prob_{name}"] = [f"{value:.8f}" for value in probabilities[:, number]]
    rows.to_csv(path, index=False, lineterminator="\n")


def read_predictions(path: Path, classes: list[str]) -> tuple[pd.DataFrame, np.ndarray]:
    """Read what `write_predictions` wrote: the rows, and the probabilities as float (images, classes)."""
    columns = [f"prob_{name}" for name in classes]
    rows = pd.read_csv(path, dtype=dict.fromkeys(FIXED, str), keep_default_na=False)
    values = rows[columns].to_numpy(dtype=float)
    return rows[FIXED], values / values.sum(axis=1, keepdims=True)  # the digits in the file sum to 1 but for rounding
