"""Paired tests of the difference between two models, for all pairs at once."""

from collections.abc import Collection, Mapping
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats

from bonexray.aggregate.multiplicity import holm, max_t
from bonexray.evaluate.bootstrap import Draws, standard_error
from bonexray.evaluate.repeats import mean_over_repeats, repeat_weights
from bonexray.evaluate.sample import ratio

TESTS = ("p_bootstrap", "p_mcnemar", "p_delong")
MAX_T = "p_bootstrap_max_t"
NEGLIGIBLE = 1e-9


def compare_pairs(
    labels: np.ndarray,
    draws: Draws,
    models: Mapping[str, np.ndarray],
    classes: list[str],
    confidence: float,
    primary: Collection[str] = (),
) -> pd.DataFrame:
    """Compare every pair of models on the same images.

    The bootstrap resamples whole groups, the same for all models, and the repeats of each model independently, because
    the seeds of two models have nothing in common. McNemar's and DeLong's tests treat images as independent: for groups
    of many images their p values are too small, so quote the bootstrap's.

    Args:
        labels: int (images,), indices of the class map.
        draws: draws of these images' groups.
        models: name to probabilities, float (images, classes) or (repeats, images, classes).
        classes: names of the classes.
        confidence: confidence level of the intervals of the difference.
        primary: the two models of the comparison that was planned beforehand; none if empty.

    Returns:
        A row for each pair, in the order of `models`: one, other; primary, 1 for the planned pair; difference of
        balanced accuracy (means over repeats), one minus other, with difference_low and difference_high, which exclude
        0 exactly when p_bootstrap < 1 - confidence; difference_error, its standard error; p_bootstrap (t test of the
        difference over that error, with one degree of freedom fewer than there are groups), p_mcnemar (exact, of
        accuracy), p_delong (of the area under the ROC curve; NaN unless there are two classes with images), both NaN
        with repeats, because they test single trainings; and each p corrected for all pairs by Holm's method, as
        `<p>_holm`, and p_bootstrap also by `max_t`. The planned pair is a family of its own: its p is not corrected,
        and the others are corrected among themselves.

    References:
        McNemar, Psychometrika 12, 1947. DeLong et al., Biometrics 44, 1988. Holm, Scand. J. Statistics 6, 1979.
    """
    one, other = np.array(list(combinations(range(len(models)), 2)), int).reshape(-1, 2).T
    values = {name: value if value.ndim == 3 else value[None] for name, value in models.items()}
    difference = _resampled_scores(labels, draws, values, len(classes))
    difference = difference[:, one] - difference[:, other]
    low, high = difference_interval(difference, draws, confidence)
    names = np.array(list(models), object)
    pairs = pd.DataFrame(
        {
            "one": names[one],
            "other": names[other],
            "primary": np.array([{names[a], names[b]} == set(primary) for a, b in zip(one, other, strict=True)], int),
            "difference": difference[0],
            "difference_low": low,
            "difference_high": high,
            "difference_error": difference_error(difference, draws),
            "p_bootstrap": bootstrap_p(difference, draws),
            **_tests_of_one_training(labels, values, one, other),
        }
    )
    family, resampled = pairs["primary"].to_numpy() == 0, draws.resampled(difference)
    for test in TESTS:
        pairs[f"{test}_holm"] = pairs[test]
        pairs.loc[family, f"{test}_holm"] = holm(pairs.loc[family, test].to_numpy())
    pairs[MAX_T] = pairs["p_bootstrap"]
    pairs.loc[family, MAX_T] = max_t(pairs.loc[family, "p_bootstrap"].to_numpy(), resampled[:, family], freedom(draws))
    return pairs


def not_distinguishable(pairs: pd.DataFrame, best: str, alpha: float = 0.05) -> list[str]:
    """Return the models that do not differ significantly from `best` by the bootstrap with Holm's correction.

    Holm's p decides rather than max-T's, whose rate of false alarms is slightly above the level with few patients. A
    model whose p is undefined counts as not distinguishable.
    """
    with_best = pairs[(pairs["one"] == best) | (pairs["other"] == best)]
    alike = with_best[~(with_best["p_bootstrap_holm"] < alpha)]
    return [row.other if row.one == best else row.one for row in alike.itertuples()]


def differences_from(pairs: pd.DataFrame, reference: str) -> dict[str, dict[str, float]]:
    """Return for every other model its difference from `reference`, with `_low` and `_high`, as `above_baseline`."""
    differences = {}
    for row in pairs[(pairs["one"] == reference) | (pairs["other"] == reference)].to_dict("records"):
        ends = [row[f"difference{end}"] for end in ("", "_low", "_high")]
        first = row["other"] == reference
        one, low, high = ends if first else (-ends[0], -ends[2], -ends[1])
        differences[row["one"] if first else row["other"]] = {
            "above_baseline": one,
            "above_baseline_low": low,
            "above_baseline_high": high,
        }
    return differences


def _resampled_scores(labels: np.ndarray, draws: Draws, models: Mapping[str, np.ndarray], classes: int) -> np.ndarray:
    """Return the balanced accuracy of each model, a mean over its repeats, float (rows of the draws, models)."""
    scores = []
    for number, probabilities in enumerate(models.values()):
        right = probabilities.argmax(axis=2) == labels
        each = resampled_balanced_accuracy(labels, right, draws.weights, classes)
        scores.append(mean_over_repeats(each, repeat_weights(draws, len(right), [number, len(right)])))
    return np.stack(scores, axis=1)


def _tests_of_one_training(
    labels: np.ndarray, models: Mapping[str, np.ndarray], one: np.ndarray, other: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the p of McNemar's and DeLong's tests; NaN if a model has several repeats."""
    if any(len(probabilities) > 1 for probabilities in models.values()):
        return {test: np.full(len(one), np.nan) for test in ("p_mcnemar", "p_delong")}
    single = {name: probabilities[0] for name, probabilities in models.items()}
    right = np.stack([probabilities.argmax(axis=1) == labels for probabilities in single.values()])
    return {
        "p_mcnemar": mcnemar_p((right[one] & ~right[other]).sum(axis=1), (right[other] & ~right[one]).sum(axis=1)),
        "p_delong": _delong_of_two_classes(labels, single)[one, other],
    }


def resampled_balanced_accuracy(labels: np.ndarray, right: np.ndarray, weights: np.ndarray, classes: int) -> np.ndarray:
    """Return the mean recall over the classes in each row, float (rows, models), from bool `right` (models, images)."""
    # In float32, counts are exact up to 2**24.
    weights, truth = (
        weights.astype(np.float32),
        np.eye(classes, dtype=np.float32)[labels],
    )
    total = (weights @ truth).astype(float)
    hits = weights @ (truth[:, None] * right.T[:, :, None]).reshape(len(labels), -1)
    recall = ratio(hits.reshape(len(weights), len(right), classes), total[:, None], otherwise=0.0)
    return recall.sum(axis=2) / (total > 0).sum(axis=1)[:, None]


def bootstrap_p(difference: np.ndarray, draws: Draws) -> np.ndarray:
    """Return the two-sided p of differences (rows of the draws, ...) by Student's t on their bootstrap error.

    The share of resamples beyond 0 would not do: its smallest positive value, 1 / draws, is too large to remain
    significant after a correction for many pairs. If the resamples do not vary, p is 1 for a difference of 0, and
    otherwise that of a sign-flip test over the groups, 2^(1 - groups).
    """
    estimate, error = difference[0], standard_error(difference, draws)
    constant = error < NEGLIGIBLE
    p = 2 * stats.t.sf(np.abs(ratio(estimate, np.where(constant, 1, error))), freedom(draws))
    return np.where(constant, np.where(np.abs(estimate) < NEGLIGIBLE, 1.0, 0.5 ** (draws.groups - 1)), p)


def difference_error(difference: np.ndarray, draws: Draws) -> np.ndarray:
    """Return the standard error of differences (rows of the draws, ...), float (...) in [0, infinity].

    If the resamples do not vary, it is the error with which Student's t has the p of `bootstrap_p`.
    """
    estimate, error = np.abs(difference[0]), standard_error(difference, draws)
    quantile = stats.t.isf(bootstrap_p(difference, draws) / 2, freedom(draws))
    implied = np.where(estimate < NEGLIGIBLE, 0.0, ratio(estimate, quantile, otherwise=np.inf))
    return np.where(error < NEGLIGIBLE, implied, error)


def difference_interval(
    difference: np.ndarray, draws: Draws, confidence: float, largest: float = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Return the bounds of differences (rows of the draws, ...): Student's t on their error, in [-largest, largest].

    The p values use the same distribution, so an interval excludes 0 exactly when p < 1 - confidence.
    """
    margin = stats.t.ppf((1 + confidence) / 2, freedom(draws)) * difference_error(difference, draws)
    low, high = difference[0] - margin, difference[0] + margin
    return np.clip(low, -largest, largest), np.clip(high, -largest, largest)


def freedom(draws: Draws) -> int:
    """Return the degrees of freedom of Student's t: one fewer than there are groups, at least 1."""
    return max(draws.groups - 1, 1)


def mcnemar_p(only_one: np.ndarray, only_other: np.ndarray) -> np.ndarray:
    """Return the exact two-sided p from the numbers of images that only one of two models predicts right."""
    return np.minimum(1, 2 * stats.binom.cdf(np.minimum(only_one, only_other), only_one + only_other, 0.5))


def delong_p(positive: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return the two-sided p of the difference in ROC area between every two models, in O(images x log images).

    Args:
        positive: bool (images,).
        scores: float (models, images), higher for positive images.

    Returns:
        Float (models, models): 1 where two models rank all images alike; NaN where a difference has no variance, as
        with fewer than two positive or negative images.

    References:
        Sun and Xu, Fast Implementation of DeLong's Algorithm, IEEE Signal Processing Letters 21, 2014.
    """
    positives, negatives = scores[:, positive], scores[:, ~positive]
    m, n = positives.shape[1], negatives.shape[1]
    if min(m, n) < 2:
        return np.full((len(scores), len(scores)), np.nan)
    midranks = stats.rankdata(scores, axis=1)
    of_positives = (midranks[:, positive] - stats.rankdata(positives, axis=1)) / n
    of_negatives = 1 - (midranks[:, ~positive] - stats.rankdata(negatives, axis=1)) / m
    area = of_positives.mean(axis=1)
    covariance = np.atleast_2d(np.cov(of_positives)) / m + np.atleast_2d(np.cov(of_negatives)) / n
    variance = np.diag(covariance)[:, None] + np.diag(covariance) - 2 * covariance
    gap, none = np.abs(area[:, None] - area), variance < 1e-12
    p = 2 * stats.norm.sf(ratio(gap, np.sqrt(np.where(none, 0, variance))))
    return np.where(none & (gap < 1e-12), 1.0, p)


def _delong_of_two_classes(labels: np.ndarray, models: Mapping[str, np.ndarray]) -> np.ndarray:
    probabilities = np.stack(list(models.values()))
    if probabilities.shape[2] != 2:
        return np.full((len(models), len(models)), np.nan)
    return delong_p(labels == 1, probabilities[:, :, 1])
