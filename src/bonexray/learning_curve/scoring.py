"""Scores of a learning curve on one split, with intervals that count patients."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bonexray.aggregate.comparison import difference_interval
from bonexray.evaluate.bootstrap import Draws, resampled_metrics
from bonexray.evaluate.intervals import Intervals
from bonexray.evaluate.metrics import OF_PROBABILITIES, all_metrics, overall, per_class
from bonexray.evaluate.patients import by_patient
from bonexray.evaluate.prior import Learned, corrected
from bonexray.evaluate.repeats import mean_over_repeats, repeat_weights, resampled_means
from bonexray.evaluate.sample import Sample
from bonexray.evaluate.score_names import Name
from bonexray.evaluate.settings import Evaluate
from bonexray.evaluate.split_predictions import SplitPredictions, predictions_in

SCORES = ("balanced_accuracy", "log_loss")


@dataclass(frozen=True, eq=False)
class Judged:
    """Predictions for one split, in the form in which the study scores them.

    Attributes:
        own: with the model's own probabilities, per image or per patient.
        likely: float (cases, classes), corrected to the class shares of training or a stated prevalence, for the log
            loss.
        classes: names of the classes.
    """

    own: SplitPredictions
    likely: np.ndarray
    classes: list[str]

    def scores(self) -> dict[Name, float]:
        """Return every score."""
        return all_metrics(self.own.labels, self.own.probabilities, self.classes, corrected=self.likely)

    def resampled(self, draws: Draws) -> dict[Name, np.ndarray]:
        """Return accuracies, rates of each class and losses for every row of the draws."""
        labels, own = self.own.labels, self.own.probabilities
        return {
            **resampled_metrics(labels, own, draws, self.classes, metrics=[overall, per_class]),
            **resampled_metrics(labels, self.likely, draws, self.classes, metrics=OF_PROBABILITIES),
        }


def judged(
    rows: pd.DataFrame, probabilities: np.ndarray, split: str, classes: list[str], settings: Evaluate, learned: Learned
) -> Judged:
    """Return the predictions for one split in the form in which `evaluate` scores them.

    Args:
        rows: rows of one training, see `first_training`.
        probabilities: float (rows, classes), the model's own.
        split: val or test.
        classes: names of the classes.
        settings: unit and prevalence.
        learned: the prior that the model has learned.
    """
    likely = corrected(rows, probabilities, classes, learned, settings.prevalence)
    if settings.unit == "patient":
        (rows, probabilities), (_, likely) = by_patient(rows, probabilities), by_patient(rows, likely)
    own, other = (predictions_in(rows, values, classes, split) for values in (probabilities, likely))
    return Judged(own, other.probabilities, classes)


def scores_of_draws(each: Sequence[Judged], draws: Draws, settings: Evaluate) -> tuple[dict[str, float], np.ndarray]:
    """Score several draws of a share of the training patients on the same test images.

    Args:
        each: the predictions of each draw's fit.
        draws: bootstrap draws of the test patients.
        settings: confidence and seed.

    Returns:
        For each of `SCORES` the mean over the draws, with `_low` and `_high`, its interval of patients and draws
        resampled together, and `_sd`, the standard deviation over the draws, NaN for one; and the balanced accuracies,
        float (rows of the bootstrap draws, draws).
    """
    resampled = [one.resampled(draws) for one in each]
    means, first = resampled_means(resampled, draws, settings.seed), each[0]
    labels = first.own.labels
    sample = Sample(labels, first.own.probabilities, first.classes, ordered=False, weights=np.ones((1, len(labels))))
    ends = Intervals(sample, first.likely, first.own.groups, means, draws, settings.confidence).ends()
    scores = {}
    for score in SCORES:
        values = [float(one[score][0]) for one in resampled]
        scores |= {
            score: float(np.mean(values)),
            **{f"{score}{end}": ends[f"{score}{end}"] for end in ("_low", "_high")},
        }
        scores[f"{score}_sd"] = float(np.std(values, ddof=1)) if len(values) > 1 else np.nan
    return scores, np.stack([one["balanced_accuracy"] for one in resampled], axis=1)


def gain_of_the_rest(part: np.ndarray, whole: np.ndarray, draws: Draws, settings: Evaluate) -> Mapping[str, float]:
    """Return the balanced accuracy of all training patients minus that of a share, on the same test patients.

    Args:
        part: float (rows of the bootstrap draws, draws of the share).
        whole: float (rows of the bootstrap draws, 1).
        draws: bootstrap draws of the test patients; the draws of the share are resampled with them.
        settings: confidence and seed.

    Returns:
        gain, gain_low and gain_high; the interval is that of two models, see `difference_interval`.
    """
    weights = repeat_weights(draws, part.shape[1], [settings.seed, part.shape[1]])
    difference = whole - mean_over_repeats(part, weights)[:, None]
    low, high = difference_interval(difference, draws, settings.confidence)
    return {"gain": float(difference[0, 0]), "gain_low": float(low[0]), "gain_high": float(high[0])}
