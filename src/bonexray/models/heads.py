"""What is trained: a head on pooled features of one or two backbones, or a whole network on images."""

import keras
from keras import layers

from bonexray.config import Train
from bonexray.models import cnns
from bonexray.models.registry import BACKBONES, model_row
from bonexray.models.standardize import Standardize

STANDARDIZE = "standardize"


def build_trainable(name: str, img_px: int, classes: int, settings: Train) -> keras.Model:
    """The part of a model that is trained, by its registry row.

    Args:
        name: a key of `REGISTRY`.
        img_px: side of the prepared image.
        classes: number of classes.
        settings: head and dropout.

    Returns:
        A model from features (one input a backbone) or from the image (batch, img_px, img_px, 1) to class
        probabilities (batch, classes).
    """
    row = model_row(name)
    if row.builder:
        return getattr(cnns, row.builder)(img_px, classes, settings.dropout)
    return build_head({backbone: BACKBONES[backbone].features for backbone in row.backbones}, classes, settings)


def build_head(widths: dict[str, int], classes: int, settings: Train) -> keras.Model:
    """A head on the pooled features of one backbone, or on those of several side by side.

    `standard` is dropout, dense 128 ReLU, dropout, classes; `bare` is dropout, classes. Either may begin by
    standardising the features, whose scale differs by orders of magnitude from backbone to backbone.

    Args:
        widths: backbone to number of its features.
        classes: number of classes.
        settings: head and dropout.
    """
    features = [keras.Input((width,), name=backbone) for backbone, width in widths.items()]
    x = layers.Concatenate(name="fusion")(features) if len(features) > 1 else features[0]
    if settings.standardize:
        x = Standardize(name=STANDARDIZE)(x)
    x = layers.Dropout(settings.dropout, name="dropout")(x)
    if settings.head == "standard":
        x = layers.Dense(128, activation="relu", name="dense")(x)
        x = layers.Dropout(settings.dropout_2, name="dropout_2")(x)
    return keras.Model(features, layers.Dense(classes, activation="softmax", name="classes")(x), name="head")
