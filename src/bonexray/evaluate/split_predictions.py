"""What a model answered in one role: its images of validation or of test, over all folds, in the manifest's order."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from bonexray.data.manifest import class_numbers
from bonexray.evaluate.calibration import fit_temperature, with_temperature


@dataclass(frozen=True, eq=False)
class Answers:
    """Images of one role with their probabilities.

    Args:
        rows: one an image: id, path, group, label, predicted, fold that answered, place in the manifest.
        labels: int (images,), places in the class map.
        probabilities: float (images, classes).
    """

    rows: pd.DataFrame
    labels: np.ndarray
    probabilities: np.ndarray

    @property
    def groups(self) -> np.ndarray:
        """(images,), equal values are one patient."""
        return self.rows["group"].to_numpy()


def answers_in(
    rows: pd.DataFrame, probabilities: np.ndarray, classes: list[str], split: str, repeat: int = 1
) -> Answers:
    """The answers of one repeat to the images of one split; with folds each image once, by the fold that had it there.

    Args:
        rows: as `read_predictions` gives them.
        probabilities: float (rows, classes).
        classes: the class map.
        split: train, val or test.
        repeat: from 1.
    """
    place = rows.groupby(["repeat", "fold"], sort=False).cumcount().to_numpy()
    mine = np.flatnonzero((rows["split"] == split) & (rows["repeat"] == repeat))
    mine = mine[np.argsort(place[mine], kind="stable")]
    chosen = rows.iloc[mine].assign(place=place[mine]).reset_index(drop=True)
    return Answers(chosen, class_numbers(chosen["label"], classes), probabilities[mine])


def temperatures(val: Answers) -> dict[int, float]:
    """The temperature of each fold, fitted on its own validation images."""
    folds = val.rows["fold"].to_numpy()
    return {
        int(fold): fit_temperature(val.labels[folds == fold], val.probabilities[folds == fold])
        for fold in np.unique(folds)
    }


def calibrated(answers: Answers, by_fold: dict[int, float]) -> Answers:
    """The same answers with each fold's probabilities at its temperature."""
    found = answers.probabilities.copy()
    for fold, temperature in by_fold.items():
        mine = (answers.rows["fold"] == fold).to_numpy()
        found[mine] = with_temperature(found[mine], temperature)
    return replace(answers, probabilities=found)
