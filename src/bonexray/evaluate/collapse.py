"""Models that answer one class whatever the image."""

import numpy as np
import pandas as pd

from bonexray.data.manifest import class_numbers


def collapse_scores(rows: pd.DataFrame, probabilities: np.ndarray, classes: list[str]) -> dict[str, float]:
    """Return how far the answers for test images are all of one class, training by training.

    A model has nearly collapsed if any of its trainings (a repeat, a fold) answers one class for all of its test images
    or all but one, although more of them belong to other classes than it answers so. Scores of all folds together hide
    this: each fold may answer a class of its own.

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
        answers = np.bincount(predicted[block.index], minlength=len(classes))
        most = int(answers.argmax())
        different = len(block) - answers[most]
        of_other_classes = int((class_numbers(block["label"], classes) != most).sum())
        shares.append(answers[most] / len(block))
        marked.append(different <= 1 and of_other_classes > different)
    return {"largest_predicted_share": float(max(shares)), "nearly_collapsed": int(any(marked))}
