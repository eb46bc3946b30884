"""All numbers of one model from its predictions."""

import numpy as np
import pandas as pd

from bonexray.config import Evaluate
from bonexray.data.manifest import class_numbers
from bonexray.evaluation.bootstrap import draw, intervals, resampled_metrics
from bonexray.evaluation.metrics import all_metrics, collapsed, confusion_counts, majority_baseline


def evaluate(
    rows: pd.DataFrame, probabilities: np.ndarray, classes: list[str], settings: Evaluate
) -> dict[str, object]:
    """Test scores with intervals and baseline; validation scores, by which models are chosen, with `val_` before.

    Args:
        rows: label, group and split of every image.
        probabilities: float (images, classes), in the same order.
        classes: the class map.
        settings: bootstrap resamples, confidence and seed.

    Returns:
        Flat numbers, and under `confusion` the counts by actual and predicted class.
    """
    labels = class_numbers(rows["label"], classes)
    train, val, test = ((rows["split"] == split).to_numpy() for split in ("train", "val", "test"))
    validation = all_metrics(labels[val], probabilities[val], classes)
    draws = draw(rows.loc[test, "group"].to_numpy(), settings.resamples, settings.seed)
    resampled = resampled_metrics(labels[test], probabilities[test], draws, classes)
    chosen_by = ("accuracy", "balanced_accuracy", "log_loss", "macro_f1")
    return {
        "n": int(test.sum()),
        "n_groups": draws.groups,
        **all_metrics(labels[test], probabilities[test], classes),
        **intervals(resampled, draws, settings.confidence),
        **majority_baseline(labels[train], labels[test], len(classes)),
        "collapsed": int(collapsed(probabilities[test])),
        "val_n": int(val.sum()),
        "val_collapsed": int(collapsed(probabilities[val])),
        **{f"val_{name}": validation[name] for name in chosen_by},
        "confusion": confusion_counts(labels[test], probabilities[test], classes),
    }
