"""Measure how well the classes can be predicted from facts of the files and pictures alone, without the anatomy."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict

from bonexray.split.audit import AuditedImage

FILE = ("height", "width", "file_bytes", "file_format", "mode")
PICTURE = ("mean", "spread", "gradient")
KINDS = ("file_format", "mode")  # names, not numbers
FOLDS, TREES, SEED = 5, 100, 7


def shortcut_scores(usable: Sequence[AuditedImage], groups: np.ndarray) -> dict[str, float | None]:
    """Cross-validate a random forest on facts of the file, of the picture, and on both together.

    A network whose score is no higher may have learned how the images were acquired, stored or exposed, and nothing about
    the bones (Zech et al., PLoS Medicine 2018). The forest has fixed settings, so nothing is chosen on these images.

    Args:
        usable: images that can be used.
        groups: int (images,), equal for images that are kept in one fold.

    Returns:
        Balanced accuracies: `shortcut_balanced_accuracy` of all facts; `shortcut_file_balanced_accuracy` of size in
        pixels and bytes, format and mode; `shortcut_picture_balanced_accuracy` of the mean, the standard deviation and
        the mean gradient of the brightness. All None if a class has too few groups for cross-validation.
    """
    kinds = {"": FILE + PICTURE, "file_": FILE, "picture_": PICTURE}
    return {f"shortcut_{kind}balanced_accuracy": _score(usable, groups, facts) for kind, facts in kinds.items()}


def _score(usable: Sequence[AuditedImage], groups: np.ndarray, names: Sequence[str]) -> float | None:
    # As codes: scikit-learn reads names such as "0" and "1" as numbers.
    _, labels = np.unique([item.source.label for item in usable], return_inverse=True)
    fewest = pd.Series(groups).groupby(labels).nunique().min()
    if fewest < 2:
        return None
    facts = pd.DataFrame([{name: getattr(item, name) for name in names} for item in usable])
    facts = pd.get_dummies(facts, columns=[name for name in KINDS if name in names])
    forest = RandomForestClassifier(TREES, class_weight="balanced", min_samples_leaf=3, random_state=SEED)
    folds = StratifiedGroupKFold(min(FOLDS, int(fewest)), shuffle=True, random_state=SEED)
    predictions = cross_val_predict(forest, facts, labels, groups=groups, cv=folds)
    return float(balanced_accuracy_score(labels, predictions))
