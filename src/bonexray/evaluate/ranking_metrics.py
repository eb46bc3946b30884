"""Areas under the ROC and precision-recall curves, for many weightings of the images at once."""

import numpy as np

from bonexray.evaluate.sample import ratio


def roc_area(weights: np.ndarray, positive: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Return the area under the ROC curve: the chance that a positive image outscores a negative one; ties count half.

    Args:
        weights: float (draws, images).
        positive: bool (images,).
        score: float (images,), higher for positive images.

    Returns:
        Float (draws,) in [0, 1], NaN where a draw lacks positive or negative images.
    """
    negatives = np.flatnonzero(~positive)
    negatives = negatives[np.argsort(score[negatives], kind="stable")]
    below = np.zeros((len(weights), len(negatives) + 1))
    weights[:, negatives].cumsum(axis=1, out=below[:, 1:])
    first, last = (np.searchsorted(score[negatives], score[positive], side) for side in ("left", "right"))
    of_positives = weights[:, positive]
    wins = np.einsum("ij,ij->i", of_positives, below[:, first] + below[:, last]) / 2
    return ratio(wins, of_positives.sum(axis=1) * below[:, -1])


def average_precision(weights: np.ndarray, positive: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Return the average precision: the mean over positive images of the precision at their score.

    Args:
        weights: float (draws, images).
        positive: bool (images,).
        score: float (images,), higher for positive images.

    Returns:
        Float (draws,) in [0, 1], NaN where a draw has no positive image.
    """
    order = np.argsort(-score, kind="stable")
    ordered = weights[:, order]
    total, positives = ordered.cumsum(axis=1), (ordered * positive[order]).cumsum(axis=1)
    end = np.searchsorted(-score[order], -score[positive], "right") - 1  # images with equal scores share a threshold
    precision = ratio(positives[:, end], total[:, end], otherwise=0.0)
    return ratio(np.einsum("ij,ij->i", weights[:, positive], precision), positives[:, -1])
