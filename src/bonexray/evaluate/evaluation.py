"""Scores of a model, computed from its predictions."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from bonexray.evaluate.bootstrap import Draws, draw, resampled_metrics
from bonexray.evaluate.calibration import at_bound
from bonexray.evaluate.intervals import Intervals
from bonexray.evaluate.metrics import all_metrics, balanced_accuracy, collapsed, confusion_counts
from bonexray.evaluate.sample import Sample
from bonexray.evaluate.score_names import ClassScore, Name, nested, with_ending
from bonexray.evaluate.settings import Evaluate
from bonexray.evaluate.split_predictions import SplitPredictions, calibrated, predictions_in, temperatures

VALIDATION_SCORES = ("accuracy", "balanced_accuracy", "log_loss", "macro_f1")
CALIBRATED = ("log_loss", "brier", "expected_calibration_error")  # scores that a temperature changes


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The scores of a model, and the predictions that its figures show.

    Args:
        scores: name to number; `classes` has the scores of each class by class, then name; `confusion` has the number of test images by actual, then predicted class.
        test: predictions for the test images.
        calibrated: the same predictions at the temperature fitted on validation.
        draws: bootstrap draws over the test images' groups.
    """

    scores: dict[str, object]
    test: SplitPredictions
    calibrated: SplitPredictions
    draws: Draws


def evaluate(
    rows: pd.DataFrame, probabilities: np.ndarray, classes: list[str], settings: Evaluate, ordered: bool = False
) -> Evaluation:
    """Score a model on test, with intervals and a baseline, and on validation.

    Validation scores, by which a model is chosen, have the prefix `val_`; scores after temperature scaling have the
    prefix `calibrated_`. Folds are scored together, each image once. With repeats, scores and intervals are those of
    the first repeat, and `_mean` and `_sd` are over all repeats.

    Args:
        rows: rows of `read_predictions`: all images of every training, with the split of each image in that training.
        probabilities: float (rows, classes).
        classes: names of the classes.
        settings: bootstrap resamples, confidence and seed.
        ordered: True if the classes are grades, listed from lowest to highest.
    """
    val, test = (predictions_in(rows, probabilities, classes, split) for split in ("val", "test"))
    by_fold = temperatures(val)
    scaled, validation = calibrated(test, by_fold), all_metrics(val.labels, val.probabilities, classes, ordered)
    draws = draw(test.groups, settings.resamples, settings.seed)
    resampled = resampled_metrics(test.labels, test.probabilities, draws, classes, ordered)
    sample = Sample(test.labels, test.probabilities, classes, ordered, np.ones((1, len(test.labels))))
    after_scaling = all_metrics(scaled.labels, scaled.probabilities, classes, ordered)
    scores: dict[Name, object] = {
        "n": len(test.labels),
        "n_groups": draws.groups,
        **all_metrics(test.labels, test.probabilities, classes, ordered),
        **Intervals(sample, test.groups, resampled, draws, settings.confidence).ends(),
        **over_repeats(rows, probabilities, classes, ordered),
        **{f"calibrated_{name}": after_scaling[name] for name in CALIBRATED},
        "temperature": float(np.exp(np.mean(np.log(list(by_fold.values()))))),
        "temperature_at_bound": int(any(map(at_bound, by_fold.values()))),
        **baseline(rows, test, classes),
        "collapsed": int(collapsed(test.probabilities)),
        "val_n": len(val.labels),
        "val_collapsed": int(collapsed(val.probabilities)),
        **{f"val_{name}": validation[name] for name in VALIDATION_SCORES},
        "confusion": confusion_counts(test.labels, test.probabilities, classes),
    }
    return Evaluation(nested(scores, classes), test, scaled, draws)


def over_repeats(rows: pd.DataFrame, probabilities: np.ndarray, classes: list[str], ordered: bool) -> dict[Name, float]:
    """Return mean and standard deviation of every test score over the repeats; nothing for a single repeat."""
    repeats = sorted(set(rows["repeat"]))
    if len(repeats) == 1:
        return {}
    tests = [predictions_in(rows, probabilities, classes, "test", repeat) for repeat in repeats]
    each = [all_metrics(t.labels, t.probabilities, classes, ordered) for t in tests]
    found: dict[Name, float] = {"repeats": len(repeats)}
    for name in each[0]:
        if not (isinstance(name, ClassScore) and name.score == "support"):
            values = np.array([scores[name] for scores in each], float)
            found[with_ending(name, "_mean")] = float(values.mean())
            found[with_ending(name, "_sd")] = float(values.std(ddof=1))
    return found


def scores_of_trainings(rows: pd.DataFrame, probabilities: np.ndarray, classes: list[str]) -> pd.Series:
    """Return the balanced accuracy on test of each training, by repeat and fold."""
    scores = {}
    for run, block in rows[rows["split"] == "test"].groupby(["repeat", "fold"], sort=True):
        test = predictions_in(rows.loc[block.index], probabilities[block.index], classes, "test", run[0])
        scores[run] = balanced_accuracy(test.labels, test.probabilities.argmax(axis=1), len(classes))
    return pd.Series(scores)


def baseline(rows: pd.DataFrame, test: SplitPredictions, classes: list[str]) -> dict[str, float]:
    """Score the prediction of the most frequent training class, fold by fold."""
    first = rows[(rows["repeat"] == 1) & (rows["split"] == "train")]
    frequent = {
        fold: int(np.argmax([(block["label"] == name).sum() for name in classes]))
        for fold, block in first.groupby("fold")
    }
    predicted = test.rows["fold"].map(frequent).to_numpy()
    return {
        "baseline_accuracy": float((predicted == test.labels).mean()),
        "baseline_balanced_accuracy": balanced_accuracy(test.labels, predicted, len(classes)),
    }
