"""How well a class's probability ranks its images before the others, under many weightings at once."""

import numpy as np

from bonexray.evaluate.sample import ratio


def roc_area(weights: np.ndarray, positive: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Area under the ROC curve: the chance that a positive image scores above a negative one, ties counting half.

    Args:
        weights: float (draws, images).
        positive: bool (images,).
        score: float (images,), high for positive.

    Returns:
        Float (draws,) in [0, 1], NaN where a draw lacks positive or negative images.
    """
    negatives = np.flatnonzero(~positive)
    negatives = negatives[np.argsort(score[negatives], kind="stable")]
    below = np.zeros((len(weights), len(negatives) + 1))
    weights[:, negatives].cumsum(axis=1, out=below[:, 1:])
    first, last = (np.searchsorted(score[negatives], score[positive], side) for side in ("left", "right"))
    found = weights[:, positive]
    won = np.einsum("ij,ij->i", found, below[:, first] + below[:, last]) / 2
    return ratio(won, found.sum(axis=1) * below[:, -1])


def average_precision(weights: np.ndarray, positive: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Area under the precision-recall steps: the mean over positive images of the precision at their score.

    Args:
        weights: float (draws, images).
        positive: bool (images,).
        score: float (images,), high for positive.

    Returns:
        Float (draws,) in [0, 1], NaN where a draw has no positive image.
    """
    order = np.argsort(-score, kind="stable")
    counted = weights[:, order]
    seen, found = counted.cumsum(axis=1), (counted * positive[order]).cumsum(axis=1)
    end = np.searchsorted(-score[order], -score[positive], "right") - 1  # images of one score come in together
    precision = ratio(found[:, end], seen[:, end], otherwise=0.0)
    return ratio(np.einsum("ij,ij->i", weights[:, positive], precision), found[:, -1])
