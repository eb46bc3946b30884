"""Scores of a model in each subgroup, and the largest gap between two of them."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from bonexray.evaluate.bootstrap import Draws, bounds, draw, resampled_metrics
from bonexray.evaluate.evaluation import evaluate
from bonexray.evaluate.metrics import Scores, overall
from bonexray.evaluate.patients import by_patient
from bonexray.evaluate.prior import Learned
from bonexray.evaluate.proportions import Estimate, difference_of
from bonexray.evaluate.ranking_metrics import roc_area
from bonexray.evaluate.repeats import each_repeat, resampled_means
from bonexray.evaluate.sample import Sample
from bonexray.evaluate.settings import Evaluate
from bonexray.evaluate.split_predictions import SplitPredictions
from bonexray.subgroups.permutation import permuted
from bonexray.subgroups.values import UNKNOWN

FEWEST = 10  # smallest number of patients of a subgroup that is scored
GAPS = ("balanced_accuracy", "roc_auc")
NOT_OF_TEST = ("val_", "patient_", "operating_", "temperature", "baseline_")


def areas(sample: Sample) -> Scores:
    """Yield the mean ROC area of each class against the rest."""
    each = [roc_area(sample.weights, sample.labels == c, score) for c, score in enumerate(sample.probabilities.T)]
    yield "roc_auc", np.mean(each, axis=0)


MEASURES = (overall, areas)


def scores_by_subgroup(
    rows: pd.DataFrame,
    probabilities: np.ndarray,
    subgroups: np.ndarray,
    names: Sequence[str],
    classes: list[str],
    settings: Evaluate,
    ordered: bool,
    learned: Learned,
) -> dict[str, dict[str, object]]:
    """Score a model on the test images of each subgroup, with intervals.

    Args:
        rows: rows of `read_predictions`.
        probabilities: float (rows, classes).
        subgroups: object (rows,), the subgroup of each image.
        names: of the subgroups.
        classes: names of the classes.
        settings: bootstrap resamples, confidence and seed; unit.
        ordered: True if the classes are grades.
        learned: the prior that the model has learned.

    Returns:
        Subgroup to `n`, `n_groups`, `too_few`, 1 for fewer than `FEWEST` patients, and otherwise its scores.
    """
    test = (rows["split"] == "test").to_numpy()
    results: dict[str, dict[str, object]] = {}
    for name in names:
        mine = test & (subgroups == name)
        patients, images = rows.loc[mine, "group"].nunique(), rows.loc[mine, "id"].nunique()
        results[name] = {"n": images, "n_groups": patients, "too_few": int(patients < FEWEST)}
        if patients >= FEWEST:
            kept = ~test | mine
            some = rows[kept].reset_index(drop=True)
            scores = evaluate(some, probabilities[kept], classes, settings, ordered, learned).scores
            results[name] |= {key: value for key, value in scores.items() if not key.startswith(NOT_OF_TEST)}
    return results


def largest_gaps(
    rows: pd.DataFrame,
    probabilities: np.ndarray,
    subgroups: np.ndarray,
    scores: Mapping[str, Mapping[str, object]],
    classes: list[str],
    settings: Evaluate,
) -> dict[str, dict[str, object]]:
    """Compare the best and the worst subgroup of a column by each score of `GAPS`.

    Only subgroups with `FEWEST` patients and images of every class of the test set are compared; unknown values are
    not. The interval of the gap is a bootstrap over patients, united with that from the intervals of the two scores
    (MOVER, see `difference_of`), which holds where a bootstrap does not vary. The p value comes from the largest gap in
    each permutation, so it allows for the choice of the two; see `permuted`.

    Args:
        rows: rows of `read_predictions`.
        probabilities: float (rows, classes).
        subgroups: object (rows,), the subgroup of each image.
        scores: result of `scores_by_subgroup`.
        classes: names of the classes.
        settings: bootstrap resamples, confidence and seed; unit.

    Returns:
        Score to `higher` and `lower`, the names of the two; `difference` with `_low` and `_high`; `p`. Empty if fewer
        than two subgroups can be compared.
    """
    if settings.unit == "patient":
        values = pd.Series(subgroups, index=rows["id"]).groupby(level=0).first()
        rows, probabilities = by_patient(rows, probabilities)
        subgroups = values.loc[rows["id"]].to_numpy()
    by_id = pd.Series(subgroups, index=rows["id"]).groupby(level=0).first()
    tests = each_repeat(rows, probabilities, classes, "test")
    own = by_id.loc[tests[0].rows["id"]].to_numpy()
    compared = [name for name in scores if name != UNKNOWN and _is_comparable(tests[0], own == name)]
    if len(compared) < 2:
        return {}
    kept = np.isin(own, compared)
    tests = [SplitPredictions(t.rows[kept], t.labels[kept], t.probabilities[kept]) for t in tests]
    codes = np.array([compared.index(name) for name in own[kept]])
    draws = draw(tests[0].groups, settings.resamples, settings.seed)
    resampled = [
        _measured(tests, draws.weights * (codes == c), draws, classes, settings.seed) for c in range(len(compared))
    ]
    orders = permuted(codes, tests[0].labels, tests[0].groups, settings.resamples, settings.seed)
    shuffled = [_measured(tests, orders == c, draws, classes, settings.seed) for c in range(len(compared))]
    return {
        score: _gap(
            [each[score] for each in resampled],
            [each[score] for each in shuffled],
            {name: tuple(scores[name][f"{score}{end}"] for end in ("", "_low", "_high")) for name in compared},
            draws,
            settings,
        )
        for score in GAPS
    }


def _is_comparable(test: SplitPredictions, mine: np.ndarray) -> bool:
    return len(np.unique(test.groups[mine])) >= FEWEST and set(test.labels[mine]) == set(test.labels)


def _measured(
    tests: Sequence[SplitPredictions], weights: np.ndarray, draws: Draws, classes: list[str], seed: int
) -> dict[str, np.ndarray]:
    """Return each score of `GAPS` for every row of the weights, float (rows,), as the mean over repeats."""
    weighted = Draws(weights.astype(np.uint16), draws.resamples, draws.groups)
    each = [resampled_metrics(t.labels, t.probabilities, weighted, classes, metrics=MEASURES) for t in tests]
    if len(weights) == len(draws.weights):
        return resampled_means(each, draws, seed)
    return {score: np.mean([scores[score] for scores in each], axis=0) for score in GAPS}


def _gap(
    resampled: Sequence[np.ndarray],
    shuffled: Sequence[np.ndarray],
    own: Mapping[str, Estimate],
    draws: Draws,
    settings: Evaluate,
) -> dict[str, object]:
    estimates = [values[0] for values in resampled]
    higher, lower = int(np.nanargmax(estimates)), int(np.nanargmin(estimates))
    difference = resampled[higher] - resampled[lower]
    names = list(own)
    ends = (bounds(difference, draws, settings.confidence), difference_of(own[names[higher]], own[names[lower]]))
    spans = np.ptp(np.stack(shuffled), axis=0)
    return {
        "higher": names[higher],
        "lower": names[lower],
        "difference": float(difference[0]),
        "difference_low": max(-1.0, float(min(low for low, _ in ends))),
        "difference_high": min(1.0, float(max(high for _, high in ends))),
        "p": float((spans >= spans[0] - 1e-12).mean()),
    }
