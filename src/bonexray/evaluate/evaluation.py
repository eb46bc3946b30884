"""Scores of a model, computed from its predictions."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from bonexray.evaluate.bootstrap import Draws, draw, resampled_metrics
from bonexray.evaluate.calibration import at_bound
from bonexray.evaluate.calibration_error import calibration_scores
from bonexray.evaluate.collapse import collapse_scores
from bonexray.evaluate.intervals import Intervals
from bonexray.evaluate.metrics import OF_PROBABILITIES, all_metrics, balanced_accuracy, collapsed, confusion_counts
from bonexray.evaluate.operating_point import OperatingPoint, operating_point
from bonexray.evaluate.patients import by_patient, patient_scores
from bonexray.evaluate.prediction_sets import prediction_set_scores
from bonexray.evaluate.prior import Learned, corrected, no_skill_log_loss
from bonexray.evaluate.repeats import each_repeat, mean_scores, resampled_means
from bonexray.evaluate.sample import Sample
from bonexray.evaluate.score_names import ClassScore, Name, nested, with_ending
from bonexray.evaluate.settings import Evaluate, positive_classes
from bonexray.evaluate.split_predictions import SplitPredictions, calibrated, predictions_in, temperatures

VALIDATION_SCORES = ("accuracy", "balanced_accuracy", "log_loss", "macro_precision", "macro_recall", "macro_f1")
CALIBRATED = ("log_loss", "brier", "expected_calibration_error")  # scores that a temperature changes


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The scores of a model, and the predictions that its figures show.

    Args:
        scores: name to number; `classes` has the scores of each class by class, then name; `confusion` has the number
            of test images by actual, then predicted class.
        test: the first repeat's predictions for the test images, or patients, with the model's own probabilities.
        corrected: the same predictions with probabilities under the prior of training or the stated prevalence.
        calibrated: those at the temperature fitted on validation.
        draws: bootstrap draws over the test images' groups.
        operating_point: of the positive classes; None without any.
    """

    scores: dict[str, object]
    test: SplitPredictions
    corrected: SplitPredictions
    calibrated: SplitPredictions
    draws: Draws
    operating_point: OperatingPoint | None = None


def evaluate(
    rows: pd.DataFrame,
    probabilities: np.ndarray,
    classes: list[str],
    settings: Evaluate,
    ordered: bool,
    learned: Learned,
) -> Evaluation:
    """Score a model on test, with intervals and a baseline, and on validation.

    Validation scores, by which a model is chosen, have the prefix `val_`; scores after temperature scaling have the
    prefix `calibrated_`. Folds are scored together, each image once. With repeats, every score is the mean over them,
    its interval is of patients and repeats resampled together (see `repeat_weights`), and `_sd` is its standard
    deviation over repeats. `confusion`, the operating point and prediction sets are those of the first repeat.

    Decisions and rankings are those of the model's own probabilities. Log loss, Brier score and calibration use
    probabilities under the prior of training or the stated prevalence; see `corrected`.

    Args:
        rows: rows of `read_predictions`: all images of every training, with the split of each image in that training.
        probabilities: float (rows, classes).
        classes: names of the classes.
        settings: bootstrap resamples, confidence and seed; unit, prevalence and operating point.
        ordered: True if the classes are grades, listed from lowest to highest.
        learned: the prior that the model has learned.
    """
    likely = corrected(rows, probabilities, classes, learned, settings.prevalence)
    positive = positive_classes(settings, classes, ordered)
    point = operating_point(rows, probabilities, likely, classes, positive, settings)
    of_patients, images = patient_scores(rows, probabilities, classes), rows
    if settings.unit == "patient":
        (rows, probabilities), (_, likely) = by_patient(images, probabilities), by_patient(images, likely)
    val, test = (each_repeat(rows, probabilities, classes, split) for split in ("val", "test"))
    likely_val, likely_test = (each_repeat(rows, likely, classes, split) for split in ("val", "test"))
    by_fold = [temperatures(repeat) for repeat in likely_val]
    scaled = [calibrated(repeat, fitted) for repeat, fitted in zip(likely_test, by_fold, strict=True)]
    draws = draw(test[0].groups, settings.resamples, settings.seed)
    resampled = [
        {
            **resampled_metrics(own.labels, own.probabilities, draws, classes, ordered),
            **resampled_metrics(own.labels, likely.probabilities, draws, classes, ordered, OF_PROBABILITIES),
        }
        for own, likely in zip(test, likely_test, strict=True)
    ]
    on_val, on_test = (
        [
            all_metrics(own.labels, own.probabilities, classes, ordered, likely.probabilities)
            for own, likely in zip(*repeats, strict=True)
        ]
        for repeats in ((val, likely_val), (test, likely_test))
    )
    validation = mean_scores(on_val)
    before, after = (
        [calibration_scores(t.labels, t.probabilities, classes, settings.seed) for t in repeats]
        for repeats in (likely_test, scaled)
    )
    after_scaling = mean_scores(
        [all_metrics(t.labels, t.probabilities, classes) | error for t, error in zip(scaled, after, strict=True)]
    )
    every_temperature = [temperature for fitted in by_fold for temperature in fitted.values()]
    sample = Sample(test[0].labels, test[0].probabilities, classes, ordered, np.ones((1, len(test[0].labels))))
    means = resampled_means(resampled, draws, settings.seed)
    scores: dict[Name, object] = {
        "unit": settings.unit,
        "n": len(test[0].labels),
        "n_groups": draws.groups,
        **mean_scores(on_test),
        **mean_scores(before),
        **Intervals(sample, likely_test[0].probabilities, test[0].groups, means, draws, settings.confidence).ends(),
        **deviations(on_test),
        **{f"calibrated_{name}": after_scaling[name] for name in CALIBRATED},
        "no_skill_log_loss": no_skill_log_loss(images, test[0].rows, classes, settings.prevalence),
        "temperature": float(np.exp(np.mean(np.log(every_temperature)))),
        "temperature_at_bound": int(any(map(at_bound, every_temperature))),
        **baseline(rows, test[0], classes),
        "collapsed": int(all(collapsed(repeat.probabilities) for repeat in test)),
        **collapse_scores(rows, probabilities, classes),
        **of_patients,
        **prediction_set_scores(likely_val[0], likely_test[0], classes, settings.coverage, settings.confidence),
        **({"operating_positive": point.positive, **point.scores} if point else {}),
        "val_n": len(val[0].labels),
        "val_collapsed": int(all(collapsed(repeat.probabilities) for repeat in val)),
        **{f"val_{name}": validation[name] for name in VALIDATION_SCORES},
        "val_no_skill_log_loss": no_skill_log_loss(images, val[0].rows, classes, settings.prevalence),
        "confusion": confusion_counts(test[0].labels, test[0].probabilities, classes),
    }
    return Evaluation(nested(scores, classes), test[0], likely_test[0], scaled[0], draws, point)


def deviations(each: list[dict[Name, float]]) -> dict[Name, float]:
    """Return the number of repeats and every score's standard deviation over them; nothing for a single repeat."""
    if len(each) == 1:
        return {}
    deviation: dict[Name, float] = {"repeats": len(each)}
    for name in each[0]:
        if not (isinstance(name, ClassScore) and name.score == "support"):
            deviation[with_ending(name, "_sd")] = float(np.std([scores[name] for scores in each], ddof=1))
    return deviation


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
