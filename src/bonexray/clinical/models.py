"""Linear models of the record, of the image, and of both, whose penalties are chosen on validation."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from bonexray.aggregate.frozen_features import standardised
from bonexray.clinical.design import design
from bonexray.train.regression import Labelled, LinearFit, best_of, fit_strengths, probabilities_of

RECORD, IMAGE, BOTH = "record", "image", "both"
STRENGTHS = (0.03, 0.3, 3.0, 30.0, 300.0)  # of the penalty, see `fit_strengths`
SCALES = (1.0, 5.0, 25.0)  # factors of the record beside the image: with a larger one, the penalty weighs less on it


def fitted_models(
    rows: pd.DataFrame,
    labels: np.ndarray,
    record: pd.DataFrame,
    features: Mapping[int, np.ndarray],
    classes: int,
    class_weights: str,
) -> dict[str, tuple[np.ndarray, dict[str, dict[str, float]]]]:
    """Fit the models of each training, and predict all of its images.

    A penalty that suits thousands of features would suppress a few clinical variables. Therefore the record is scaled
    up beside the image, by a factor chosen on validation together with the penalty.

    Args:
        rows: rows of `read_predictions` of one repeat, each fold in the order of the manifest.
        labels: int (images,), the class of each image of the manifest.
        record: clinical variables by image, in the order of the manifest.
        features: float (images, width) in that order, for each fold; empty for the record alone.
        classes: number of classes.
        class_weights: `balanced` or `none`.

    Returns:
        `record` and, with features, `image` and `both`: probabilities, float (rows, classes), and by fold the chosen
        strength and scale.
    """
    names = [RECORD, IMAGE, BOTH] if features else [RECORD]
    answers = {name: np.zeros((len(rows), classes)) for name in names}
    chosen: dict[str, dict[str, dict[str, float]]] = {name: {} for name in names}
    for fold, block in rows.groupby("fold", sort=False):
        split = block["split"].to_numpy()
        inputs = inputs_of(record, features.get(fold), split == "train")
        for name in names:
            fits = {
                scale: best_of(fits_of(values, labels, split, classes, class_weights))
                for scale, values in inputs[name].items()
            }
            scale = min(fits, key=lambda key: fits[key].val_log_loss)
            answers[name][block.index] = probabilities_of(fits[scale].weights, inputs[name][scale])
            chosen[name][f"fold {fold}"] = {"strength": fits[scale].strength, "scale": scale}
    return {name: (answers[name], chosen[name]) for name in names}


def inputs_of(
    record: pd.DataFrame, features: np.ndarray | None, train: np.ndarray
) -> dict[str, Mapping[float, np.ndarray]]:
    """Return the inputs of each model by the scale of the record, float (images, width)."""
    clinical = design(record, train)
    if features is None:
        return {RECORD: {1.0: clinical}}
    image = standardised(features, train)
    both = {scale: np.concatenate([image, scale * clinical], axis=1) for scale in SCALES}
    return {RECORD: {1.0: clinical}, IMAGE: {1.0: image}, BOTH: both}


def fits_of(
    values: np.ndarray, labels: np.ndarray, split: np.ndarray, classes: int, class_weights: str
) -> list[LinearFit]:
    """Fit a regression of every strength to the training split, and measure it on validation."""
    truth = np.eye(classes)[labels]
    train, val = (Labelled(values[split == name], truth[split == name]) for name in ("train", "val"))
    weight = "balanced" if class_weights == "balanced" else None
    return fit_strengths(train, val, classes, weight, STRENGTHS)
