"""One threshold, fixed on validation, and what it does on test; and the net benefit of every threshold."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bonexray.evaluate import proportions
from bonexray.evaluate.patients import by_patient
from bonexray.evaluate.sample import ratio
from bonexray.evaluate.settings import Evaluate
from bonexray.evaluate.split_predictions import SplitPredictions, predictions_in

THRESHOLDS = np.arange(1, 100) / 100
Interval = tuple[float, float, float]  # value, lower and upper bound


@dataclass(frozen=True, eq=False)
class OperatingPoint:
    """What the threshold does on test, and the decision curve.

    Args:
        scores: name to number, see `operating_point`.
        curve: see `decision_curve`.
        positive: the positive classes, in words.
    """

    scores: dict[str, float]
    curve: pd.DataFrame
    positive: str


def operating_point(
    rows: pd.DataFrame,
    probabilities: np.ndarray,
    corrected: np.ndarray,
    classes: list[str],
    positive: Sequence[int],
    settings: Evaluate,
) -> OperatingPoint | None:
    """Choose the threshold with the sensitivity wanted on validation, and score it once on test.

    Patients are counted, not images, because exact intervals need independent cases: a patient's probability is the
    mean over their images. The threshold applies to the model's own, uncorrected probability of the positive classes.
    Each fold has its own. With repeats, it is that of the first repeat, whose weights are kept.

    Args:
        rows: rows of `read_predictions`, one for each image.
        probabilities: float (rows, classes), the model's own.
        corrected: float (rows, classes), under the prior of interest, for the decision curve.
        classes: names of the classes.
        positive: indices of the positive classes.
        settings: the sensitivity wanted, the prevalence and the confidence level.

    Returns:
        None without a positive class. Otherwise the scores `operating_threshold` (mean over folds), `operating_n`,
        `operating_positives`, `operating_prevalence` and `val_operating_sensitivity`; and `operating_<score>` with
        `_low` and `_high` for sensitivity, specificity, ppv and npv. NaN if a fold has no positive validation patient.
    """
    if not positive:
        return None
    patients, own = by_patient(rows, probabilities)
    val, test = (predictions_in(patients, own, classes, split) for split in ("val", "test"))
    of_interest = predictions_in(patients, by_patient(rows, corrected)[1], classes, "test")
    risk = of_interest.probabilities[:, positive].sum(axis=1)
    truth = np.isin(test.labels, positive)
    prevalence = None if settings.prevalence is None else sum(settings.prevalence[classes[c]] for c in positive)
    thresholds = _thresholds(val, positive, settings.sensitivity)
    called, called_val = (_called(part, positive, thresholds) for part in (test, val))
    undefined = bool(np.isnan(list(thresholds.values())).any())
    val_truth = np.isin(val.labels, positive)
    scores = {
        "operating_threshold": float(np.mean(list(thresholds.values()))),
        "operating_n": len(truth),
        "operating_positives": int(truth.sum()),
        "operating_prevalence": float(truth.mean() if prevalence is None else prevalence),
        "val_operating_sensitivity": np.nan if undefined else float(called_val[val_truth].mean()),
        **_flat(rates(truth, called, prevalence, settings.confidence), undefined),
    }
    return OperatingPoint(scores, decision_curve(truth, risk, prevalence), _words(classes, positive))


def threshold_of(scores: np.ndarray, sensitivity: float) -> float:
    """Return the highest threshold that keeps a share of the positive scores; NaN without any.

    Args:
        scores: float (positive cases,).
        sensitivity: the share of them to be at or above the threshold, in (0, 1).
    """
    if not len(scores):
        return np.nan
    kept = int(np.ceil(sensitivity * len(scores) - 1e-9))
    return float(np.sort(scores)[len(scores) - kept])


def rates(truth: np.ndarray, called: np.ndarray, prevalence: float | None, confidence: float) -> dict[str, Interval]:
    """Return sensitivity, specificity, and the predictive values of a positive and a negative call, with intervals.

    Intervals are exact (Clopper and Pearson, Biometrika 26, 1934). At the prevalence of the sample, predictive values
    are proportions of calls. At another one they follow from sensitivity and specificity by Bayes' rule; their bounds
    are those at both bounds, each at the square root of the confidence level, so that they hold together at that level,
    because positive and negative cases are independent.

    Args:
        truth: bool (cases,).
        called: bool (cases,).
        prevalence: share of positive cases, in (0, 1); None takes that of the sample.
        confidence: confidence level, in (0, 1).
    """
    right, wrong = int((called & truth).sum()), int((called & ~truth).sum())
    positives, negatives = int(truth.sum()), int((~truth).sum())
    sensitivity = exact(right, positives, confidence)
    specificity = exact(negatives - wrong, negatives, confidence)
    if prevalence is None:
        cleared = len(truth) - right - wrong
        ppv, npv = exact(right, right + wrong, confidence), exact(negatives - wrong, cleared, confidence)
    else:
        both = exact(right, positives, confidence**0.5), exact(negatives - wrong, negatives, confidence**0.5)
        true_rate, true_negative_rate = (np.array(interval) for interval in both)
        ppv = tuple(_share(prevalence * true_rate, (1 - prevalence) * (1 - true_negative_rate)))
        npv = tuple(_share((1 - prevalence) * true_negative_rate, prevalence * (1 - true_rate)))
    return {"sensitivity": sensitivity, "specificity": specificity, "ppv": ppv, "npv": npv}


def exact(successes: int, cases: int, confidence: float) -> Interval:
    """Return a proportion with its exact interval; NaN without cases."""
    if not cases:
        return (np.nan, np.nan, np.nan)
    return (successes / cases, *proportions.exact(successes / cases, cases, confidence))


def decision_curve(truth: np.ndarray, risk: np.ndarray, prevalence: float | None = None) -> pd.DataFrame:
    """Return the net benefit of treating whoever has a risk at or above a threshold.

    Net benefit is the share of true positives minus the share of false positives, weighted by threshold / (1 -
    threshold), the odds at which a reader would treat.

    Args:
        truth: bool (cases,).
        risk: float (cases,) in [0, 1].
        prevalence: share of positive cases, in (0, 1); None takes that of the sample.

    Returns:
        A row for each of `THRESHOLDS`: threshold; net benefit of the model, of treating all and of treating none. NaN
        without positive or negative cases.

    References:
        Vickers and Elkin, Decision Curve Analysis, Medical Decision Making 26, 2006.
    """
    share = float(truth.mean()) if prevalence is None else prevalence
    treated = risk[:, None] >= THRESHOLDS
    true_rate, false_rate = (ratio(treated[cases].sum(axis=0), cases.sum()) for cases in (truth, ~truth))
    odds = THRESHOLDS / (1 - THRESHOLDS)
    return pd.DataFrame(
        {
            "threshold": THRESHOLDS,
            "model": share * true_rate - (1 - share) * false_rate * odds,
            "all": share - (1 - share) * odds,
            "none": 0.0,
        }
    )


def _thresholds(val: SplitPredictions, positive: Sequence[int], sensitivity: float) -> dict[int, float]:
    scores, truth, folds = val.probabilities[:, positive].sum(axis=1), np.isin(val.labels, positive), val.rows["fold"]
    return {int(fold): threshold_of(scores[truth & (folds == fold)], sensitivity) for fold in folds.unique()}


def _called(predictions: SplitPredictions, positive: Sequence[int], thresholds: dict[int, float]) -> np.ndarray:
    """Return bool (cases,): True for a probability at or above the threshold of the case's fold."""
    scores = predictions.probabilities[:, positive].sum(axis=1)
    return scores >= predictions.rows["fold"].map(thresholds).to_numpy()


def _share(right: np.ndarray, wrong: np.ndarray) -> np.ndarray:
    """Return right / (right + wrong); NaN where nothing is called."""
    return ratio(right, right + wrong)


def _flat(intervals: dict[str, Interval], undefined: bool) -> dict[str, float]:
    return {
        f"operating_{name}{end}": np.nan if undefined else float(value)
        for name, interval in intervals.items()
        for end, value in zip(("", "_low", "_high"), interval, strict=True)
    }


def _words(classes: list[str], positive: Sequence[int]) -> str:
    first, *others = (classes[number] for number in positive)
    return f"{first} and above" if others else first
