"""How sure a score is: bootstrap over groups, because images of one patient are not independent."""

import numpy as np

from bonexray.config import Evaluate


def bootstrap_intervals(
    labels: np.ndarray, predicted: np.ndarray, groups: np.ndarray, classes: int, settings: Evaluate
) -> dict[str, float]:
    """Percentile bootstrap intervals of accuracy and balanced accuracy, resampling whole groups.

    Accuracy and recalls are ratios of counts, so a resample is a row of weights over the groups, and all resamples
    are two matrix products.

    Args:
        labels: int (images,).
        predicted: int (images,).
        groups: (images,), equal values are one patient.
        classes: number of classes.
        settings: resamples, confidence and seed.

    Returns:
        accuracy_low, accuracy_high, balanced_accuracy_low, balanced_accuracy_high; each interval holds its estimate.

    References:
        Efron and Tibshirani, An Introduction to the Bootstrap, 1993; resampling of clusters: Field and Welsh 2007.
    """
    _, group = np.unique(groups, return_inverse=True)
    n_groups = group.max() + 1
    total, right = (np.zeros((n_groups, classes)) for _ in range(2))
    np.add.at(total, (group, labels), 1)
    np.add.at(right, (group, labels), labels == predicted)
    rng = np.random.default_rng(settings.seed)
    draws = rng.multinomial(n_groups, np.full(n_groups, 1 / n_groups), size=settings.resamples)
    draws = np.vstack([np.ones(n_groups), draws])  # the first row is the sample itself: the estimate
    total, right = draws @ total, draws @ right
    recall = np.divide(right, total, out=np.full_like(right, np.nan), where=total > 0)
    scores = {
        "accuracy": right.sum(axis=1) / total.sum(axis=1),
        "balanced_accuracy": np.nanmean(recall, axis=1),
    }
    tails = [(1 - settings.confidence) / 2, (1 + settings.confidence) / 2]
    found = {}
    for name, (estimate, *resampled) in scores.items():
        low, high = np.quantile(resampled, tails)
        found[f"{name}_low"], found[f"{name}_high"] = float(min(low, estimate)), float(max(high, estimate))
    return found
