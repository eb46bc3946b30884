"""Predictions by patient: the mean of the probabilities of the patient's images."""

import numpy as np
import pandas as pd

from bonexray.evaluate.metrics import all_metrics
from bonexray.evaluate.split_predictions import places_of, predictions_in

SCORES = ("accuracy", "balanced_accuracy", "roc_auc")


def by_patient(rows: pd.DataFrame, values: np.ndarray) -> tuple[pd.DataFrame, np.ndarray]:
    """Return one row for each patient, in each training and split, and the mean of the patient's values.

    A patient is a group of the manifest. A patient whose images in a split have different labels, such as those of two
    joints, keeps one row for each image.

    Args:
        rows: rows of `read_predictions`.
        values: float (rows, ...), such as probabilities.

    Returns:
        Rows of the first image of each patient, with its place in the manifest as `place` and without `predicted`, in
        the order of the images; and float (patients, ...).
    """
    keys = ["repeat", "fold", "split", "group"]
    own = np.where(mixed(rows), rows["id"], "")
    number = rows.assign(own=own).groupby([*keys, "own"], sort=False).ngroup().to_numpy()
    sums = np.zeros((number.max() + 1, *values.shape[1:]))
    np.add.at(sums, number, values)
    images = np.bincount(number).reshape(-1, *[1] * (values.ndim - 1))
    first = np.unique(number, return_index=True)[1]
    patients = rows.assign(place=places_of(rows)).iloc[first].drop(columns="predicted", errors="ignore")
    return patients.reset_index(drop=True), sums / images


def mixed(rows: pd.DataFrame) -> np.ndarray:
    """Return bool (rows,): True for images of a patient whose images in this training and split differ in label."""
    return (rows.groupby(["repeat", "fold", "split", "group"], sort=False)["label"].transform("nunique") > 1).to_numpy()


def patients_of_two_labels(rows: pd.DataFrame) -> int:
    """Return the number of patients whose test images differ in label."""
    test = (rows["split"] == "test").to_numpy() & (rows["repeat"] == 1).to_numpy()
    return int(rows.loc[test & mixed(rows), "group"].nunique())


def several_test_images(rows: pd.DataFrame) -> bool:
    """Return whether any patient has more than one test image."""
    first = rows[(rows["split"] == "test") & (rows["repeat"] == 1)]
    return bool(first["group"].duplicated().any())


def patient_scores(rows: pd.DataFrame, probabilities: np.ndarray, classes: list[str]) -> dict[str, float]:
    """Return scores by patient, to show beside those by image, as means over repeats.

    Args:
        rows: rows of `read_predictions`, one for each image.
        probabilities: float (rows, classes).
        classes: names of the classes.

    Returns:
        patient_n, patients_of_two_labels and `patient_<score>` for each of `SCORES`; empty if no patient has several
        test images.
    """
    if not several_test_images(rows):
        return {}
    patients, means = by_patient(rows, probabilities)
    tests = [predictions_in(patients, means, classes, "test", repeat) for repeat in sorted(set(rows["repeat"]))]
    scores = [all_metrics(test.labels, test.probabilities, classes) for test in tests]
    return {
        "patient_n": len(tests[0].labels),
        "patients_of_two_labels": patients_of_two_labels(rows),
        **{f"patient_{name}": float(np.mean([each[name] for each in scores])) for name in SCORES},
    }
