"""Heads on pooled features, and the layer of classes that every network ends in."""

import keras
import numpy as np
from keras import layers

from bonexray.networks.settings import HeadSettings
from bonexray.networks.standardize import Standardize

STANDARDIZE = "standardize"
# Between the features and the classes: a dense ReLU layer of so many units, or dropout at the rate of that setting.
HEADS: dict[str, tuple[int | str, ...]] = {
    "standard": ("dropout", 128, "dropout_2"),
    "bare": ("dropout",),
    "late_fusion": (256, "dropout"),
}


def build_head(widths: dict[str, int], classes: int, settings: HeadSettings, kind: str | None = None) -> keras.Model:
    """A head on the pooled features of one backbone, or on those of several side by side.

    It may begin by standardising the features, whose scale differs by orders of magnitude from backbone to backbone.

    Args:
        widths: backbone to number of its features.
        classes: number of classes.
        settings: head, dropout and output.
        kind: a key of `HEADS` in place of the settings' own.
    """
    features = [keras.Input((width,), name=backbone) for backbone, width in widths.items()]
    x = layers.Concatenate(name="fusion")(features) if len(features) > 1 else features[0]
    if settings.standardize:
        x = Standardize(name=STANDARDIZE, dtype="float32")(x)  # features may be too small for 16 bits
    for part in HEADS[kind or settings.head]:
        if isinstance(part, str):
            x = layers.Dropout(getattr(settings, part), name=part)(x)
        else:
            x = layers.Dense(part, activation="relu", name="dense")(x)
    return keras.Model(features, class_layer(x, classes, settings), name="head")


def class_layer(x, classes: int, settings: HeadSettings) -> keras.KerasTensor:
    """Probabilities: a softmax over the classes, or for two classes one sigmoid, the probability of the second.

    They are 32-bit numbers also where the network computes in fewer.
    """
    if settings.output == "sigmoid":
        return layers.Dense(1, activation="sigmoid", dtype="float32", name="classes")(x)
    return layers.Dense(classes, activation="softmax", dtype="float32", name="classes")(x)


def class_probabilities(outputs: np.ndarray) -> np.ndarray:
    """Return a network's outputs, (images, classes) or (images, 1) of a sigmoid, as (images, classes)."""
    return np.concatenate([1 - outputs, outputs], axis=1) if outputs.shape[1] == 1 else outputs
