"""The network of a model that is trained in a mode: its head alone, or all layers from the image to the classes."""

from collections.abc import Mapping

import keras

from bonexray.backbones.encoder import build_encoder, unfreeze_from
from bonexray.networks.heads import STANDARDIZE, build_head, class_layer
from bonexray.networks.settings import HeadSettings
from bonexray.registry import BACKBONES, FROZEN, FULL, SCRATCH, builder_of, model_row

HEAD = "head"


def build_trainable(
    name: str,
    mode: str,
    img_px: int,
    classes: int,
    settings: HeadSettings,
    blocks: dict[str, str] | None = None,
    conventions: Mapping[str, str] | None = None,
) -> keras.Model:
    """Build the network of a model that a mode trains.

    Args:
        name: a key of `REGISTRY`.
        mode: `scratch` and `full` train every layer; `frozen` trains a head on cached features; `fine_tune` trains the
            head and the upper blocks of the backbones, with batch normalisation in inference.
        img_px: side of the prepared images.
        classes: number of classes.
        settings: head, dropout rates and output.
        blocks: first fine-tuned layer by backbone, where it differs from the registry's.
        conventions: preprocessing by backbone, where it differs from the registry's.

    Returns:
        Network to class probabilities (batch, classes), or (batch, 1) of a sigmoid. Its inputs are features, one input
        per backbone, if the mode is `frozen`, and images (batch, img_px, img_px, 1) otherwise.
    """
    row = model_row(name)
    if mode == FROZEN:
        return head_of(name, classes, settings)
    image = keras.Input((img_px, img_px, 1), name="image")
    if mode == SCRATCH:
        return keras.Model(image, class_layer(builder_of(name).build(image), classes, settings), name=name)
    encoders = [build_encoder(backbone, img_px, (conventions or {}).get(backbone)) for backbone in row.backbones]
    for part, encoder in zip(row.backbones, encoders, strict=True):
        backbone = encoder.get_layer(part)
        if mode == FULL:
            backbone.trainable = True
        else:
            unfreeze_from(backbone, (blocks or {}).get(part, BACKBONES[part].fine_tune_from))
    if mode == FULL:  # the features change in training, so fixed statistics would not fit them
        settings = settings.model_copy(update={STANDARDIZE: False})
    head = head_of(name, classes, settings)
    return keras.Model(image, head([encoder(image) for encoder in encoders]), name=name)


def head_of(name: str, classes: int, settings: HeadSettings) -> keras.Model:
    """Build the head of a model on the features of its backbones."""
    row = model_row(name)
    return build_head({b: BACKBONES[b].features for b in row.backbones}, classes, settings, row.head)


def backbone_of(network: keras.Model, name: str) -> keras.Model:
    """Return a backbone of a network that `build_trainable` built with its backbones."""
    return network.get_layer(f"{name}_encoder").get_layer(name)
