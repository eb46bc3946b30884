"""Prediction sets: the classes that a model does not rule out, so that patients' true class is in them as often as promised.

Split-conformal prediction with thresholds on the probability of a class: of all sets with the same coverage these are
the smallest if the probabilities are right (Sadinle, Lei and Wasserman, Least Ambiguous Set-Valued Classifiers with
Bounded Error Levels, JASA 114, 2019). Adaptive sets (Romano, Sesia and Candès, NeurIPS 2020) even out the coverage
between easy and hard images, but need random numbers to be exact and, among few classes, are larger.

Images of a patient depend on each other, and only patients are exchangeable (Dunn, Wasserman and Ramdas, JASA 118,
2023). A patient therefore counts once, by the image on which the true class is least probable: the promise is that it
is in the sets of all images of a new patient, and patients in test can be counted for an exact interval. Calibrating on
one random image of each patient would promise less, the set of a single image, and would depend on the seed. Enough
patients of each class allow a threshold for each, which keeps the promise in every class (Vovk, Machine Learning 92,
2013).

The promise is for validation patients that took no part in training. Where they have chosen the epoch or the penalty,
as here, it can be missed by a little; the coverage reached on test shows by how much.
"""

import math
from dataclasses import dataclass

import numpy as np

from bonexray.evaluate.proportions import exact
from bonexray.evaluate.score_names import ClassScore, Name
from bonexray.evaluate.split_predictions import SplitPredictions

FEWEST = 10  # validation patients in a fold, below which no sets are made


@dataclass(frozen=True, eq=False)
class Thresholds:
    """What a class's probability must reach to be in the set.

    Attributes:
        values: float (classes,); 0 lets every class in.
        by_class: whether each class has its own, so that the coverage holds in each.
    """

    values: np.ndarray
    by_class: bool

    def sets(self, probabilities: np.ndarray) -> np.ndarray:
        """Return bool (cases, classes): the classes in the set of each case; there may be none."""
        return probabilities >= self.values


def conformal_threshold(of_truth: np.ndarray, groups: np.ndarray, coverage: float) -> float:
    """Return the largest probability that a new patient's true class reaches on all images as often as promised.

    Args:
        of_truth: float (images,), the probability of each calibration image's true class.
        groups: (images,), the same value for images of one patient.
        coverage: the promise, in (0, 1).

    Returns:
        The probability of rank (patients + 1) × coverage from the top among the patients' lowest, and 0 if there are
        too few patients for it.
    """
    patients, patient = np.unique(groups, return_inverse=True)
    lowest = np.full(len(patients), np.inf)
    np.minimum.at(lowest, patient, of_truth)
    rank = math.ceil((len(patients) + 1) * coverage - 1e-9)
    return 0.0 if rank > len(patients) else float(np.sort(lowest)[len(patients) - rank])


def thresholds_of(val: SplitPredictions, coverage: float) -> Thresholds | None:
    """Calibrate on the validation images of one training.

    Args:
        val: their predictions.
        coverage: the promise, in (0, 1).

    Returns:
        A threshold for each class if each has at least 1 / (1 - coverage) patients, else one for all; None for fewer
        than `FEWEST` patients.
    """
    groups, labels, classes = val.groups, val.labels, val.probabilities.shape[1]
    if len(np.unique(groups)) < FEWEST:
        return None
    of_truth = val.probabilities[np.arange(len(labels)), labels]
    fewest = min(len(np.unique(groups[labels == label])) for label in range(classes))
    if fewest < 1 / (1 - coverage) - 1e-9:
        return Thresholds(np.full(classes, conformal_threshold(of_truth, groups, coverage)), by_class=False)
    values = [conformal_threshold(of_truth[labels == c], groups[labels == c], coverage) for c in range(classes)]
    return Thresholds(np.array(values), by_class=True)


def prediction_set_scores(
    val: SplitPredictions, test: SplitPredictions, classes: list[str], coverage: float | None, confidence: float
) -> dict[Name, object]:
    """Calibrate each fold on its validation images, and score the sets of its test images.

    Args:
        val: predictions for validation images, or patients.
        test: for test images, or patients.
        classes: names of the classes.
        coverage: the promise, in (0, 1); None for no sets.
        confidence: level of the intervals.

    Returns:
        Empty without a promise. Otherwise `set_promised` and `set_val_patients`, the number of validation patients in
        the smallest fold; and, unless these are fewer than `FEWEST`: `set_by_class`, 1 if the promise is for each
        class; `set_patients`, test patients; `set_coverage`, the share of them whose true class is in the sets of all
        their images, with exact `_low` and `_high`, also of each class; `set_size`, the mean number of classes; and the
        shares of sets of one (`set_single`), no (`set_empty`) and every class (`set_all`).
    """
    if coverage is None:
        return {}
    by_fold = {fold: thresholds_of(_of_fold(val, fold), coverage) for fold in np.unique(test.rows["fold"])}
    patients = val.rows.groupby("fold")["group"].nunique()
    scores: dict[Name, object] = {"set_promised": coverage, "set_val_patients": int(patients.min())}
    if not all(by_fold.values()):
        return scores
    sets = np.zeros(test.probabilities.shape, bool)
    for fold, thresholds in by_fold.items():
        rows = (test.rows["fold"] == fold).to_numpy()
        sets[rows] = thresholds.sets(test.probabilities[rows])
    size, hit = sets.sum(axis=1), sets[np.arange(len(sets)), test.labels]
    return {
        **scores,
        "set_by_class": int(all(thresholds.by_class for thresholds in by_fold.values())),
        "set_patients": len(np.unique(test.groups)),
        **_covered(hit, test.groups, confidence, ""),
        **{
            name: value
            for number, label in enumerate(classes)
            for name, value in _covered(*_rows(test.labels == number, hit, test.groups), confidence, label).items()
        },
        "set_size": float(size.mean()),
        "set_single": float((size == 1).mean()),
        "set_empty": float((size == 0).mean()),
        "set_all": float((size == len(classes)).mean()),
    }


def _covered(hit: np.ndarray, groups: np.ndarray, confidence: float, label: str) -> dict[Name, float]:
    """Return the share of patients all of whose images are hit, with its interval; NaN without any."""
    patients, patient = np.unique(groups, return_inverse=True)
    covered = np.ones(len(patients), bool)
    np.logical_and.at(covered, patient, hit)
    share = float(covered.mean()) if len(patients) else np.nan
    low, high = exact(share, len(patients), confidence) if len(patients) else (np.nan, np.nan)
    names = ("set_coverage", "set_coverage_low", "set_coverage_high")
    return {
        ClassScore(name, label) if label else name: value for name, value in zip(names, (share, low, high), strict=True)
    }


def _rows(chosen: np.ndarray, *arrays: np.ndarray) -> list[np.ndarray]:
    return [array[chosen] for array in arrays]


def _of_fold(predictions: SplitPredictions, fold: int) -> SplitPredictions:
    rows = (predictions.rows["fold"] == fold).to_numpy()
    return SplitPredictions(predictions.rows[rows], predictions.labels[rows], predictions.probabilities[rows])
