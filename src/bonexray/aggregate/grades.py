"""Paired tests of the scores for ordered classes: quadratic-weighted kappa and the mean error in grades."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from bonexray.aggregate.comparison import bootstrap_p, difference_interval
from bonexray.aggregate.multiplicity import holm
from bonexray.evaluate.bootstrap import Draws, resampled_metrics
from bonexray.evaluate.metrics import agreement
from bonexray.evaluate.repeats import mean_over_repeats, repeat_weights

GRADE_SCORES = ("quadratic_weighted_kappa", "mean_absolute_grade_error")


def compare_grades(
    pairs: pd.DataFrame,
    labels: np.ndarray,
    draws: Draws,
    models: Mapping[str, np.ndarray],
    classes: list[str],
    confidence: float,
) -> pd.DataFrame:
    """Add to a comparison of pairs the differences in the scores for ordered classes.

    The test is the paired bootstrap of `compare_pairs`, on the same resamples of groups and repeats.

    Args:
        pairs: result of `compare_pairs` for the same models.
        labels: int (images,), grades from 0.
        draws: draws of these images' groups.
        models: name to probabilities, float (repeats, images, classes).
        classes: names of the classes, from the lowest grade to the highest.
        confidence: confidence level of the intervals.

    Returns:
        The pairs with, for each score of `GRADE_SCORES`: <score>_difference, one minus other, with _low and _high;
        <score>_p_bootstrap, and <score>_p_bootstrap_holm, corrected for all pairs and this score; the planned pair is
        not corrected. They are NaN if the score is undefined in a resample.
    """
    resampled = {
        name: _scores(labels, draws, probabilities, classes, number)
        for number, (name, probabilities) in enumerate(models.items())
    }
    family, columns = pairs["primary"].to_numpy() == 0, {}
    for score in GRADE_SCORES:
        sides = [[resampled[name][score] for name in pairs[side]] for side in ("one", "other")]
        difference = (np.array(sides[0]) - np.array(sides[1])).reshape(len(pairs), len(draws.weights)).T
        low, high = difference_interval(difference, draws, confidence, largest=max(2, len(classes) - 1))
        p = bootstrap_p(difference, draws)
        corrected = p.copy()
        corrected[family] = holm(p[family])
        named = {"difference": difference[0], "difference_low": low, "difference_high": high, "p_bootstrap": p}
        columns |= {f"{score}_{name}": values for name, values in {**named, "p_bootstrap_holm": corrected}.items()}
    return pairs.assign(**columns)


def _scores(
    labels: np.ndarray, draws: Draws, probabilities: np.ndarray, classes: list[str], number: int
) -> dict[str, np.ndarray]:
    """Return the scores of one model, means over its repeats, float (rows of the draws,)."""
    each = [resampled_metrics(labels, repeat, draws, classes, True, [agreement]) for repeat in probabilities]
    weights = repeat_weights(draws, len(each), [number, len(each)])
    return {name: mean_over_repeats(np.stack([one[name] for one in each], axis=1), weights) for name in GRADE_SCORES}
