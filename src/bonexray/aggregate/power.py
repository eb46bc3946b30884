"""The smallest difference between two models that a test set can show, and the patients that a small one needs."""

import math

import numpy as np
import pandas as pd
from scipy import stats

POWER, ALPHA = 0.8, 0.05
WANTED = 0.05  # difference in balanced accuracy
WRONG, SHARED = 0.3, 0.5  # assumed before training: share of wrong answers, correlation of two models' errors


def power_of(pairs: pd.DataFrame, groups: int) -> dict[str, float]:
    """Return what the test set can show at a power of `POWER`; nothing without pairs.

    The standard error is the median over the pairs that vary, and falls with the square root of the patients.

    Args:
        pairs: result of `compare_pairs`.
        groups: number of patients in the test set.

    Returns:
        `detectable_difference` and `detectable_difference_panel`, the smallest difference in balanced accuracy for one
        planned pair and for all pairs (after Bonferroni's correction, Holm's first step), and `patients_needed` and
        `patients_needed_panel` for a difference of `WANTED`.
    """
    errors = pairs["difference_error"]
    errors = errors[np.isfinite(errors) & (errors > 0)]
    if errors.empty or groups < 2:
        return {}
    found = {}
    for suffix, tests in (("", 1), ("_panel", len(pairs))):
        smallest = detectable_difference(float(errors.median()), groups, tests)
        found[f"detectable_difference{suffix}"] = min(smallest, 1.0)
        found[f"patients_needed{suffix}"] = patients_needed(float(errors.median()), groups, tests)
    return found


def detectable_difference(error: float, groups: int, tests: int = 1) -> float:
    """Return the difference that a t test with this standard error finds with a power of `POWER`.

    References:
        Bloom, Minimum Detectable Effects, Evaluation Review 19, 1995.
    """
    freedom = max(groups - 1, 1)
    return float(error * (stats.t.isf(ALPHA / 2 / tests, freedom) + stats.t.ppf(POWER, freedom)))


def patients_needed(error: float, groups: int, tests: int = 1, difference: float = WANTED) -> int:
    """Return the number of patients with which a test finds the difference, if the error falls with their root."""
    quantile = stats.norm.isf(ALPHA / 2 / tests) + stats.norm.ppf(POWER)
    return max(2, math.ceil(groups * (error * quantile / difference) ** 2 - 1e-9))


def assumed_error(groups: int) -> float:
    """Return the standard error of a difference before training, for one image of each patient and equal classes.

    Both models are assumed wrong for a share `WRONG` of the images, with errors that correlate by `SHARED`.
    """
    return math.sqrt(2 * WRONG * (1 - WRONG) * (1 - SHARED) / groups)
