"""Predictions of a model for the validation or test images of all folds, in the manifest's order."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from bonexray.data.manifest import class_numbers
from bonexray.evaluate.calibration import fit_temperature, with_temperature


@dataclass(frozen=True, eq=False)
class SplitPredictions:
    """Predictions for the images of one split.

    Args:
        rows: a row for each image, or for each patient: id, path, group, label, repeat and fold of the training that
            predicted it, place in the manifest.
        labels: int (images,), indices of the class map.
        probabilities: float (images, classes).
    """

    rows: pd.DataFrame
    labels: np.ndarray
    probabilities: np.ndarray

    @property
    def groups(self) -> np.ndarray:
        """Array (images,), the same value for images of one patient."""
        return self.rows["group"].to_numpy()


def predictions_in(
    rows: pd.DataFrame, probabilities: np.ndarray, classes: list[str], split: str, repeat: int = 1
) -> SplitPredictions:
    """Return one repeat's predictions for the images of a split.

    With folds, each image appears once: as predicted by the training that had it in that split.

    Args:
        rows: rows of `read_predictions`, or of `by_patient`.
        probabilities: float (rows, classes).
        classes: names of the classes.
        split: train, val or test.
        repeat: number of the repeat, from 1.
    """
    place = (rows["place"] if "place" in rows else places_of(rows)).to_numpy()
    indices = np.flatnonzero((rows["split"] == split) & (rows["repeat"] == repeat))
    indices = indices[np.argsort(place[indices], kind="stable")]
    images = rows.iloc[indices].assign(place=place[indices]).reset_index(drop=True)
    return SplitPredictions(images, class_numbers(images["label"], classes), probabilities[indices])


def places_of(rows: pd.DataFrame) -> pd.Series:
    """Return the place in the manifest of each row of `read_predictions`, from 0."""
    return rows.groupby(["repeat", "fold"], sort=False).cumcount()


def temperatures(val: SplitPredictions) -> dict[int, float]:
    """Fit the temperature of each fold on its own validation images."""
    folds = val.rows["fold"].to_numpy()
    return {
        int(fold): fit_temperature(val.labels[folds == fold], val.probabilities[folds == fold])
        for fold in np.unique(folds)
    }


def calibrated(predictions: SplitPredictions, by_fold: dict[int, float]) -> SplitPredictions:
    """Return the predictions with each fold's probabilities scaled by its temperature."""
    probabilities = predictions.probabilities.copy()
    for fold, temperature in by_fold.items():
        rows = (predictions.rows["fold"] == fold).to_numpy()
        probabilities[rows] = with_temperature(probabilities[rows], temperature)
    return replace(predictions, probabilities=probabilities)
