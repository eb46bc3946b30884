"""Scores on an external cohort, their drop from the internal test, and what a recalibration would improve.

Only the recalibration is fitted to the cohort: for all other scores, temperature, prior and threshold come from the
development cohort.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bonexray.evaluate.bootstrap import draw, resampled_metrics
from bonexray.evaluate.calibration import fit_temperature, with_temperature
from bonexray.evaluate.calibration_error import calibration_scores
from bonexray.evaluate.evaluation import evaluate
from bonexray.evaluate.metrics import OF_PROBABILITIES, all_metrics
from bonexray.evaluate.patients import by_patient
from bonexray.evaluate.prior import Learned, corrected
from bonexray.evaluate.settings import Evaluate
from bonexray.evaluate.split_predictions import SplitPredictions, predictions_in

EXTERNAL = "external"  # split of the cohort's images beside those of the development cohort
DROPS = ("accuracy", "balanced_accuracy", "macro_f1", "roc_auc", "cohen_kappa", "log_loss", "brier")
RECALIBRATED = ("log_loss", "brier", "expected_calibration_error")
FEWEST = 10  # smallest number of patients in each part of a recalibration


def summary_of(cohort: str, scores: Mapping[str, Mapping[str, object]]) -> dict[str, object]:
    """Return the few numbers that DVC compares: the balanced accuracy of each model on a cohort."""
    return {EXTERNAL: {cohort: {model: own["balanced_accuracy"] for model, own in scores.items()}}}


@dataclass(frozen=True)
class Scoring:
    """Settings for scoring a study's models on a cohort in the same way as on its own test.

    Attributes:
        classes: the class map.
        options: intervals, unit, prevalence and operating point.
        ordered: whether the classes are grades.
        learned: the prior that the models have learned.
        recalibrate: share of the cohort's patients that a recalibration is fitted to.
    """

    classes: list[str]
    options: Evaluate
    ordered: bool
    learned: Learned
    recalibrate: float

    def scores(
        self, rows: pd.DataFrame, own: np.ndarray, images: pd.DataFrame, answers: np.ndarray
    ) -> dict[str, object]:
        """Return a model's scores on the cohort.

        Args:
            rows: rows of `read_predictions` of one training of the development cohort.
            own: float (rows, classes), its probabilities.
            images: the cohort's images: id, path, label, group.
            answers: float (images, classes), the same network's probabilities for them.

        Returns:
            Every score of `evaluate` on the cohort; for each of `DROPS`, the value on the internal test as
            `internal_<score>`, and `drop_<score>`, internal minus external, with `_low` and `_high`; `recalibration`,
            see `_recalibration`.
        """
        table = images.assign(repeat=1, fold=1, split=EXTERNAL, predicted="")[list(rows.columns)]
        joined = pd.concat([rows, table], ignore_index=True)
        probabilities = np.concatenate([own, answers / answers.sum(axis=1, keepdims=True)])
        likely = corrected(joined, probabilities, self.classes, self.learned, self.options.prevalence)
        scored = joined["split"].map({"test": "internal", EXTERNAL: "test"}).fillna(joined["split"])
        evaluation = evaluate(
            joined.assign(split=scored), probabilities, self.classes, self.options, self.ordered, self.learned
        )
        on_test = {name: value for name, value in evaluation.scores.items() if not name.startswith("val_")}
        drops = self._drops(joined, probabilities, likely)
        return {**on_test, **drops, "recalibration": self._recalibration(joined, probabilities, likely)}

    def _drops(self, joined: pd.DataFrame, probabilities: np.ndarray, likely: np.ndarray) -> dict[str, float]:
        """Return the differences between two independent cohorts, each resampled by patient."""
        resampled = []
        for number, split in enumerate(("test", EXTERNAL)):
            raw, prior = (self._part(joined, values, split) for values in (probabilities, likely))
            draws = draw(raw.groups, self.options.resamples, self.options.seed + number)
            scores = {
                **resampled_metrics(raw.labels, raw.probabilities, draws, self.classes, self.ordered),
                **resampled_metrics(
                    raw.labels, prior.probabilities, draws, self.classes, self.ordered, OF_PROBABILITIES
                ),
            }
            resampled.append({name: scores[name][: 1 + draws.resamples] for name in DROPS})
        internal, external = resampled
        outside = 50 * (1 - self.options.confidence)
        drops: dict[str, float] = {}
        for name in DROPS:
            difference = internal[name] - external[name]
            low, high = np.nanpercentile(difference[1:], [outside, 100 - outside])
            drops |= {f"internal_{name}": float(internal[name][0]), f"drop_{name}": float(difference[0])}
            drops |= {f"drop_{name}_low": float(low), f"drop_{name}_high": float(high)}
        return drops

    def _recalibration(self, joined: pd.DataFrame, own: np.ndarray, likely: np.ndarray) -> dict[str, object]:
        """Return scores before and after a prior and a temperature fitted to a share of the cohort's patients.

        Returns:
            patients, the number of them that it is fitted to; n, the number of cases that it is scored on; temperature;
            `before_<score>` and `after_<score>` of `RECALIBRATED`. Empty if a part has fewer than `FEWEST` patients.
        """
        part = self._part(joined, likely, EXTERNAL)
        patients = np.unique(part.groups)
        count = round(self.recalibrate * len(patients))
        if min(count, len(patients) - count) < FEWEST:
            return {}
        chosen = np.random.default_rng(self.options.seed).permutation(patients)[:count]
        learns = np.isin(part.groups, chosen)
        counts = np.bincount(part.labels[learns], minlength=len(self.classes)) + 1.0  # no class has a share of 0
        shares = dict(zip(self.classes, counts / counts.sum(), strict=True))
        shifted = self._part(joined, corrected(joined, own, self.classes, self.learned, shares), EXTERNAL).probabilities
        temperature = fit_temperature(part.labels[learns], shifted[learns])
        rest, after = part.labels[~learns], with_temperature(shifted[~learns], temperature)
        return {
            "patients": count,
            "n": len(rest),
            "temperature": temperature,
            **self._calibration("before", rest, part.probabilities[~learns]),
            **self._calibration("after", rest, after),
        }

    def _calibration(self, prefix: str, labels: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
        scores = {
            **all_metrics(labels, probabilities, self.classes),
            **calibration_scores(labels, probabilities, self.classes, self.options.seed),
        }
        return {f"{prefix}_{name}": float(scores[name]) for name in RECALIBRATED}

    def _part(self, joined: pd.DataFrame, values: np.ndarray, split: str) -> SplitPredictions:
        if self.options.unit == "patient":
            return predictions_in(*by_patient(joined, values), self.classes, split)
        return predictions_in(joined, values, self.classes, split)
