"""Models that predict one class whatever the image."""

import numpy as np
import pandas as pd

from bonexray.data.manifest import class_numbers


def collapse_scores(rows: pd.DataFrame, probabilities: np.ndarray, classes: list[str]) -> dict[str, float]:
    """Measure how far the predictions for test images are all of one class, training by training.

    A model has nearly collapsed if any of its trainings (a repeat, a fold) predicts the same class for all test images
    but at most one, although more than that belong to other classes. Scores of all folds together hide this, because
    each fold may predict a different class.

    Args:
        rows: rows of `read_predictions`.
        probabilities: float (rows, classes).
        classes: names of the classes.

    Returns:
        largest_predicted_share, the largest share of one predicted class among the test images of a training, in (0,
        1]; nearly_collapsed, 0 or 1.
    """
    predicted = probabilities.argmax(axis=1)
    shares, marked = [], []
    for _, block in rows[rows["split"] == "test"].groupby(["repeat", "fold"], sort=False):
        counts = np.bincount(predicted[block.index], minlength=len(classes))
        most = int(counts.argmax())
        different = len(block) - counts[most]
        of_other_classes = int((class_numbers(block["label"], classes) != most).sum())
        shares.append(counts[most] / len(block))
        marked.append(different <= 1 and of_other_classes > different)
    return {"largest_predicted_share": float(max(shares)), "nearly_collapsed": int(any(marked))}
