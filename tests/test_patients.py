"""A patient's answer is the mean over their images, in each training and split."""

import numpy as np
import pandas as pd
import pytest
from trainings import UNSORTED, predictions_of_trainings

from bonexray.aggregate.panel import Panel
from bonexray.evaluate.evaluation import evaluate
from bonexray.evaluate.metrics import all_metrics
from bonexray.evaluate.patients import by_patient
from bonexray.evaluate.settings import Evaluate

BY_IMAGE, BY_PATIENT = (Evaluate(resamples=100, unit=unit) for unit in ("image", "patient"))


def direct(rows: pd.DataFrame, probabilities: np.ndarray, split: str, repeat: int = 1) -> dict[str, float]:
    """Return the scores of the patients' mean probabilities, computed one patient at a time."""
    mine = rows[(rows["split"] == split) & (rows["repeat"] == repeat)]
    labels, means = [], []
    for _, block in mine.groupby(["fold", "group"]):
        labels.append(UNSORTED.index(block["label"].iloc[0]))
        means.append(probabilities[block.index].mean(axis=0))
    return all_metrics(np.array(labels), np.array(means), UNSORTED)


def test_a_patient_is_scored_once_with_the_mean_of_their_images() -> None:
    rows, probabilities = predictions_of_trainings(3, 2)
    scores, image = (
        evaluate(rows, probabilities, UNSORTED, options, False, "train").scores for options in (BY_PATIENT, BY_IMAGE)
    )
    assert (scores["unit"], scores["n"], scores["n_groups"], scores["val_n"]) == ("patient", 18, 18, 18)
    assert (image["unit"], image["n"]) == ("image", 36)
    expected, on_validation = ([direct(rows, probabilities, split, n) for n in (1, 2)] for split in ("test", "val"))
    for name in ("balanced_accuracy", "log_loss", "roc_auc", "macro_f1"):
        assert scores[name] == pytest.approx(np.mean([repeat[name] for repeat in expected]))
    for name in ("balanced_accuracy", "log_loss"):
        assert scores[f"val_{name}"] == pytest.approx(np.mean([repeat[name] for repeat in on_validation]))
    assert scores["balanced_accuracy"] != pytest.approx(image["balanced_accuracy"])
    assert sum(sum(row.values()) for row in scores["confusion"].values()) == 18


def test_scores_per_patient_stand_beside_those_per_image() -> None:
    rows, probabilities = predictions_of_trainings(3, 2)
    scores = evaluate(rows, probabilities, UNSORTED, BY_IMAGE, False, "train").scores
    each = [direct(rows, probabilities, "test", repeat) for repeat in (1, 2)]
    for name in ("accuracy", "balanced_accuracy", "roc_auc"):
        assert scores[f"patient_{name}"] == pytest.approx(np.mean([of[name] for of in each]))
    assert scores["patient_n"] == 18
    alone = evaluate(rows.assign(group=rows["id"]), probabilities, UNSORTED, BY_IMAGE, False, "train").scores
    assert not [name for name in alone if name.startswith("patient")]


def test_a_patient_with_two_labels_is_kept_by_image_and_counted() -> None:
    rows, probabilities = predictions_of_trainings(3, 1)
    other = rows["id"] == rows["id"].iloc[0]
    rows.loc[other, "label"] = "osteoporosis" if rows["label"].iloc[0] != "osteoporosis" else "normal"
    scores = evaluate(rows, probabilities, UNSORTED, BY_PATIENT, False, "train").scores
    assert (scores["n"], scores["n_groups"], scores["patients_of_two_labels"]) == (19, 18, 1)


def test_each_row_names_the_first_image_of_its_patient() -> None:
    rows, probabilities = predictions_of_trainings(3, 1)
    patients, means = by_patient(rows, probabilities)
    assert len(patients) == len(means) == len(rows) // 2
    first = rows[rows["fold"] == 2].reset_index(drop=True)
    for row in patients[patients["fold"] == 2].itertuples():
        assert first.loc[row.place, "id"] == row.id
    same = Panel(rows, {"one": probabilities}).in_unit("patient")
    assert same.rows.equals(patients) and (same.probabilities["one"] == means).all()
    assert Panel(rows, {"one": probabilities}).in_unit("image").rows is rows
