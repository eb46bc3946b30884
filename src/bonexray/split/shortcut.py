"""Measure how well the classes can be predicted from the files alone, without the anatomy."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict

from bonexray.split.audit import AuditedImage

FACTS = ("height", "width", "file_bytes", "mean")
KINDS = ("file_format", "mode")
FOLDS, TREES, SEED = 5, 100, 7


def shortcut_balanced_accuracy(usable: Sequence[AuditedImage], groups: np.ndarray) -> float | None:
    """Cross-validate a random forest on size, bytes, format, mode and mean brightness.

    A model of about the same score may have learned how the images were acquired and nothing about the bones.

    Args:
        usable: images that can be used.
        groups: int (images,), equal for images that are kept in one fold.

    Returns:
        The balanced accuracy; None if a class has too few groups for cross-validation.
    """
    labels = np.array([item.source.label for item in usable])
    fewest = pd.Series(groups).groupby(labels).nunique().min()
    if fewest < 2:
        return None
    facts = pd.DataFrame([{name: getattr(item, name) for name in FACTS + KINDS} for item in usable])
    forest = RandomForestClassifier(TREES, class_weight="balanced", min_samples_leaf=3, random_state=SEED)
    folds = StratifiedGroupKFold(min(FOLDS, int(fewest)), shuffle=True, random_state=SEED)
    predictions = cross_val_predict(forest, pd.get_dummies(facts, columns=list(KINDS)), labels, groups=groups, cv=folds)
    return float(balanced_accuracy_score(labels, predictions))
