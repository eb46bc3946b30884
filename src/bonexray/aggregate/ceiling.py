"""The ceiling: a score from the true bone of a simulated cohort, which a network can hardly exceed."""

from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bonexray.base.errors import BonexrayError
from bonexray.data.manifest import class_numbers
from bonexray.evaluate.evaluation import evaluate
from bonexray.evaluate.settings import Evaluate

MEASURES = ["volume_fraction", "cortical_mm"]  # what the images show of a T-score; not the T-score itself
SCORE = "balanced_accuracy"
CEILING = f"ceiling_{SCORE}"


def read_truth(cohort: Path) -> pd.DataFrame:
    """Return the true values behind each image, by path.

    Args:
        cohort: folder that the stage `phantom` has written.

    Raises:
        BonexrayError: the folder has no table of true values.
    """
    path = cohort / "truth.csv"
    if not path.is_file():
        raise BonexrayError(
            str(path), expected="the true values of the cohort", received="no such file", do="run `dvc repro`"
        )
    return pd.read_csv(path).set_index("path")


def ceiling_scores(rows: pd.DataFrame, truth: pd.DataFrame, classes: list[str], settings: Evaluate) -> dict[str, float]:
    """Score a logistic regression on the true bone, as a model is scored.

    Args:
        rows: rows of `read_predictions`.
        truth: see `read_truth`.
        classes: names of the classes.
        settings: bootstrap resamples, confidence and seed; unit.

    Returns:
        `CEILING` and the ends of its interval, with `_low` and `_high`.
    """
    scores = evaluate(rows, ceiling_predictions(rows, truth, classes), classes, settings, False, "uniform").scores
    return {f"{CEILING}{end}": scores[f"{SCORE}{end}"] for end in ("", "_low", "_high")}


def ceiling_predictions(rows: pd.DataFrame, truth: pd.DataFrame, classes: list[str]) -> np.ndarray:
    """Fit a regression from true bone to label in each training, and predict all images of that training.

    Args:
        rows: rows of `read_predictions`; two classes or more have training images.
        truth: see `read_truth`.
        classes: names of the classes.

    Returns:
        Probabilities, float (rows, classes).
    """
    values, labels = truth.loc[rows["path"], MEASURES].to_numpy(), class_numbers(rows["label"], classes)
    probabilities = np.zeros((len(rows), len(classes)))
    for _, block in rows.groupby(["repeat", "fold"], sort=False):
        indices = block.index.to_numpy()
        train = indices[block["split"] == "train"]
        model = make_pipeline(StandardScaler(), LogisticRegression(C=1e6, class_weight="balanced", max_iter=1000))
        model.fit(values[train], labels[train])
        probabilities[np.ix_(indices, model.classes_)] = model.predict_proba(values[indices])
    return probabilities
