"""All numbers of one model from its predictions."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from bonexray.evaluate.bootstrap import Draws, draw, intervals, resampled_metrics
from bonexray.evaluate.calibration import at_bound
from bonexray.evaluate.metrics import all_metrics, balanced_accuracy, collapsed, confusion_counts
from bonexray.evaluate.settings import Evaluate
from bonexray.evaluate.split_predictions import Answers, answers_in, calibrated, temperatures

CHOSEN_BY = ("accuracy", "balanced_accuracy", "log_loss", "macro_f1")  # of validation
CALIBRATED = ("log_loss", "brier", "expected_calibration_error")  # what a temperature changes


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A model's numbers, and what figures are drawn from.

    Args:
        scores: flat numbers, and under `confusion` the test images by actual and predicted class.
        test: the answers to the test images.
        calibrated: the same at the temperature that validation asks for.
        draws: of the bootstrap over the test images' groups.
    """

    scores: dict[str, object]
    test: Answers
    calibrated: Answers
    draws: Draws


def evaluate(
    rows: pd.DataFrame, probabilities: np.ndarray, classes: list[str], settings: Evaluate, ordered: bool = False
) -> Evaluation:
    """Test scores with intervals and baseline; validation scores, by which models are chosen, with `val_` before.

    With folds the answers of all folds are scored together, each image once. With repeats the scores and intervals are
    the first one's; `_mean` and `_sd` are over all of them. What a temperature changes is given `calibrated_` too.

    Args:
        rows: as `read_predictions` gives them: of every training all images with their split there.
        probabilities: float (rows, classes).
        classes: the class map.
        settings: bootstrap resamples, confidence and seed.
        ordered: whether the class map goes from the lowest grade to the highest.
    """
    val, test = (answers_in(rows, probabilities, classes, split) for split in ("val", "test"))
    by_fold = temperatures(val)
    cool, validation = calibrated(test, by_fold), all_metrics(val.labels, val.probabilities, classes, ordered)
    draws = draw(test.groups, settings.resamples, settings.seed)
    resampled = resampled_metrics(test.labels, test.probabilities, draws, classes, ordered)
    at_temperature = all_metrics(cool.labels, cool.probabilities, classes, ordered)
    scores = {
        "n": len(test.labels),
        "n_groups": draws.groups,
        **all_metrics(test.labels, test.probabilities, classes, ordered),
        **intervals(resampled, draws, settings.confidence),
        **over_repeats(rows, probabilities, classes, ordered),
        **{f"calibrated_{name}": at_temperature[name] for name in CALIBRATED},
        "temperature": float(np.exp(np.mean(np.log(list(by_fold.values()))))),
        "temperature_at_bound": int(any(map(at_bound, by_fold.values()))),
        **baseline(rows, test, classes),
        "collapsed": int(collapsed(test.probabilities)),
        "val_n": len(val.labels),
        "val_collapsed": int(collapsed(val.probabilities)),
        **{f"val_{name}": validation[name] for name in CHOSEN_BY},
        "confusion": confusion_counts(test.labels, test.probabilities, classes),
    }
    return Evaluation(scores, test, cool, draws)


def over_repeats(rows: pd.DataFrame, probabilities: np.ndarray, classes: list[str], ordered: bool) -> dict[str, float]:
    """Mean and standard deviation of every test score over the repeats; nothing where there is one."""
    repeats = sorted(set(rows["repeat"]))
    if len(repeats) == 1:
        return {}
    tested = [answers_in(rows, probabilities, classes, "test", repeat) for repeat in repeats]
    table = pd.DataFrame([all_metrics(t.labels, t.probabilities, classes, ordered) for t in tested])
    table = table[[name for name in table if not name.startswith("support_")]]
    return {
        "repeats": len(repeats),
        **{f"{name}_mean": float(value) for name, value in table.mean(skipna=False).items()},
        **{f"{name}_sd": float(value) for name, value in table.std(ddof=1, skipna=False).items()},
    }


def scores_of_trainings(rows: pd.DataFrame, probabilities: np.ndarray, classes: list[str]) -> pd.Series:
    """Balanced accuracy on test of each training, by repeat and fold."""
    tests = rows["split"] == "test"
    found = {}
    for run, block in rows[tests].groupby(["repeat", "fold"], sort=True):
        mine = answers_in(rows.loc[block.index], probabilities[block.index], classes, "test", run[0])
        found[run] = balanced_accuracy(mine.labels, mine.probabilities.argmax(axis=1), len(classes))
    return pd.Series(found)


def baseline(rows: pd.DataFrame, test: Answers, classes: list[str]) -> dict[str, float]:
    """What always answering the most frequent class of training gives on test, fold by fold."""
    first = rows[(rows["repeat"] == 1) & (rows["split"] == "train")]
    frequent = {
        fold: int(np.argmax([(block["label"] == name).sum() for name in classes]))
        for fold, block in first.groupby("fold")
    }
    answer = test.rows["fold"].map(frequent).to_numpy()
    return {
        "baseline_accuracy": float((answer == test.labels).mean()),
        "baseline_balanced_accuracy": balanced_accuracy(test.labels, answer, len(classes)),
    }
