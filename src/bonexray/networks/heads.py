"""Heads on pooled features, and the output layer of every network."""

import keras
from keras import layers

from bonexray.networks.ordinal import Ordinal
from bonexray.networks.settings import LINEAR, HeadSettings
from bonexray.networks.standardize import Standardize
from bonexray.registry import ORDINAL

STANDARDIZE, CLASSES = "standardize", "classes"  # names of layers
# Layers from features to classes: a number is the units of a dense ReLU layer, a text the setting of a dropout rate.
HEADS: dict[str, tuple[int | str, ...]] = {
    "standard": ("dropout", 128, "dropout_2"),
    "bare": ("dropout",),
    LINEAR: (),
    "late_fusion": (256, "dropout"),
}


def build_head(widths: dict[str, int], classes: int, settings: HeadSettings, kind: str | None = None) -> keras.Model:
    """Build a head on the pooled features of one backbone, or on the concatenated features of several.

    It standardises the features first if the settings say so: their scales differ by orders of magnitude between
    backbones.

    Args:
        widths: number of features by backbone.
        classes: number of classes.
        settings: head, dropout rates and output.
        kind: a key of `HEADS` that replaces the setting.

    Returns:
        Network from features (batch, width), one input per backbone, to class probabilities; see `class_layer`.
    """
    features = [keras.Input((width,), name=backbone) for backbone, width in widths.items()]
    x = layers.Concatenate(name="fusion")(features) if len(features) > 1 else features[0]
    if settings.standardize:
        x = Standardize(name=STANDARDIZE, dtype="float32")(x)  # some features are too small for 16 bits
    for part in HEADS[kind or settings.head]:
        if isinstance(part, str):
            x = layers.Dropout(getattr(settings, part), name=part)(x)
        else:
            x = layers.Dense(part, activation="relu", name="dense")(x)
    return keras.Model(features, class_layer(x, classes, settings), name="head")


def class_layer(x, classes: int, settings: HeadSettings) -> keras.KerasTensor:
    """Apply the output layer: a softmax, a sigmoid for the second of two classes, or one for ordered classes.

    Probabilities are 32-bit numbers even in a network of mixed precision.
    """
    if settings.output == "sigmoid":
        return layers.Dense(1, activation="sigmoid", dtype="float32", name=CLASSES)(x)
    if settings.output in ORDINAL:
        return Ordinal(classes, settings.output, dtype="float32", name=CLASSES)(x)
    return layers.Dense(classes, activation="softmax", dtype="float32", name=CLASSES)(x)
