"""The intervals that tables show, computed in simulated studies, and the true values that they should contain."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pandas as pd
from simulated.studies import CLASSES, Cell, Study, draw_studies

from bonexray.aggregate.comparison import compare_pairs
from bonexray.aggregate.grades import GRADE_SCORES, compare_grades
from bonexray.evaluate.bootstrap import Draws, draw, resampled_metrics
from bonexray.evaluate.intervals import Intervals
from bonexray.evaluate.metrics import all_metrics
from bonexray.evaluate.operating_point import rates, threshold_of
from bonexray.evaluate.prediction_sets import prediction_set_scores
from bonexray.evaluate.proportions import difference_of
from bonexray.evaluate.sample import Sample
from bonexray.evaluate.score_names import ClassScore, Name, with_ending
from bonexray.evaluate.split_predictions import SplitPredictions
from bonexray.external.scoring import DROPS

Ends = dict[str, tuple[float, float]]
CONFIDENCE, PROMISE, SENSITIVITY, PREVALENCE = 0.95, 0.9, 0.9, 0.3
LARGE = 50_000  # patients of the sample that gives the true values
VALIDATION = 100  # patients that threshold and prediction sets are fitted to
LOWER = 0.9  # chance of a right answer of the worse model of a pair, as a share of the better one's


@lru_cache(maxsize=4)
def true_values(recall: float, images: int, balance: str) -> dict[str, float]:
    """Return every true value by the words of its interval: the value in a very large sample."""
    cell = Cell(recall, LARGE, images, balance)
    study, other = draw_studies(cell.rng(0), cell, (recall, LOWER * recall))
    better, worse = all_values(study), all_values(other)
    point = {name: value[0] for name, value in _rates(study, _threshold(cell)).items()}
    sets = _set_scores(_predictions(_validation_study(cell)), study)
    return {
        **{words(name): float(value) for name, value in better.items()},
        **{_operating(name): value for name, value in point.items()},
        **{words(name): sets[name] for name in _coverages()},
        **{_drop(name): 0.0 for name in DROPS},
        **{_difference(name): better[name] - worse[name] for name in ("balanced_accuracy", *GRADE_SCORES)},
    }


def intervals_of_studies(cell: Cell, studies: Iterable[int], resamples: int) -> Iterable[Ends]:
    """Yield the intervals of each study by their words; the ends are NaN where a score is undefined.

    The drop of a study is from the previous study, an independent cohort of the same kind, to this one.
    """
    threshold, validation, previous = _threshold(cell), _predictions(_validation_study(cell)), None
    for number in studies:
        better, worse = draw_studies(cell.rng(1 + number), cell, (cell.recall, LOWER * cell.recall))
        draws = draw(better.patients, resamples, number)
        scores = _scores(better, draws)
        found = {words(name): (low, high) for name, (_, low, high) in scores.items()}
        found |= {_operating(name): value[1:] for name, value in _rates(better, threshold).items()}
        sets = _set_scores(validation, better)
        found |= {
            words(name): tuple(sets[with_ending(name, end)] for end in ("_low", "_high")) for name in _coverages()
        }
        if previous:
            found |= {_drop(name): difference_of(previous[name], scores[name]) for name in DROPS}
        yield {**found, **_differences(better, worse, draws)}
        previous = scores


def words(name: Name) -> str:
    """Return the name of a score in the table."""
    return name if isinstance(name, str) else f"{name.score} of class {name.label}"


def all_values(study: Study) -> Mapping[Name, float]:
    """Return every score but the numbers of images."""
    values = all_metrics(study.labels, study.probabilities, CLASSES, ordered=True)
    return {name: v for name, v in values.items() if isinstance(name, str) or name.score != "support"}


def _scores(study: Study, draws: Draws) -> dict[Name, tuple[float, float, float]]:
    """Return every score with its interval."""
    resampled = resampled_metrics(study.labels, study.probabilities, draws, CLASSES, ordered=True)
    sample = Sample(study.labels, study.probabilities, CLASSES, True, np.ones((1, len(study.labels))))
    ends = Intervals(sample, study.probabilities, study.patients, resampled, draws, CONFIDENCE).ends()
    return {
        name: (values[0], ends[with_ending(name, "_low")], ends[with_ending(name, "_high")])
        for name, values in resampled.items()
    }


def _of_patients(study: Study) -> tuple[np.ndarray, np.ndarray]:
    """Return whether each patient is of the last class, and its mean probability."""
    images = np.bincount(study.patients)
    risk = np.bincount(study.patients, study.probabilities[:, -1]) / images
    return np.bincount(study.patients, study.labels == len(CLASSES) - 1) > 0, risk


def _threshold(cell: Cell) -> float:
    truth, risk = _of_patients(_validation_study(cell))
    return threshold_of(risk[truth], SENSITIVITY)


def _rates(study: Study, threshold: float) -> dict[str, tuple[float, float, float]]:
    """Return the rates of a threshold; predictive values also at a stated prevalence."""
    truth, risk = _of_patients(study)
    stated = rates(truth, risk >= threshold, PREVALENCE, CONFIDENCE)
    return {
        **rates(truth, risk >= threshold, None, CONFIDENCE),
        **{f"{name} at a stated prevalence": stated[name] for name in ("ppv", "npv")},
    }


def _validation_study(cell: Cell) -> Study:
    """Return the validation images, the same for studies of any number of test patients."""
    own = replace(cell, groups=VALIDATION)
    return draw_studies(own.rng(0), own, (own.recall,))[0]


def _predictions(study: Study) -> SplitPredictions:
    rows = pd.DataFrame({"group": study.patients, "fold": 1})
    return SplitPredictions(rows, study.labels, study.probabilities)


def _set_scores(validation: SplitPredictions, study: Study) -> dict[Name, object]:
    return prediction_set_scores(validation, _predictions(study), CLASSES, PROMISE, CONFIDENCE)


def _coverages() -> list[Name]:
    return ["set_coverage", *(ClassScore("set_coverage", label) for label in CLASSES)]


def _differences(better: Study, worse: Study, draws: Draws) -> Ends:
    """Return the intervals of the paired differences between two models."""
    panel = {"better": better.probabilities[None], "worse": worse.probabilities[None]}
    pairs = compare_pairs(better.labels, draws, panel, CLASSES, CONFIDENCE)
    row = compare_grades(pairs, better.labels, draws, panel, CLASSES, CONFIDENCE).iloc[0]
    return {
        _difference(name): (row[f"{prefix}difference_low"], row[f"{prefix}difference_high"])
        for name, prefix in [("balanced_accuracy", ""), *((score, f"{score}_") for score in GRADE_SCORES)]
    }


def _operating(name: str) -> str:
    return f"operating_{name}"


def _drop(name: str) -> str:
    return f"drop_{name}"


def _difference(name: str) -> str:
    return f"difference of {name} in pairs"
