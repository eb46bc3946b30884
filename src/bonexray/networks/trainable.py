"""A model of the registry as the network that is trained: a head, a network from scratch, or both in one."""

import keras

from bonexray.backbones.encoder import build_encoder, unfreeze_from
from bonexray.networks.heads import STANDARDIZE, build_head, class_layer
from bonexray.networks.settings import HeadSettings
from bonexray.registry import BACKBONES, FROZEN, FULL, SCRATCH, builder_of, model_row

HEAD = "head"


def build_trainable(
    name: str, mode: str, img_px: int, classes: int, settings: HeadSettings, blocks: dict[str, str] | None = None
) -> keras.Model:
    """What is trained of a model in a mode.

    Args:
        name: a key of `REGISTRY`.
        mode: `scratch` and `full` train every layer; `frozen` a head on cached features; `fine_tune` the head and
            the upper blocks of the backbones, their batch normalisation in inference.
        img_px: side of the prepared image.
        classes: number of classes.
        settings: head, dropout and output.
        blocks: backbone to the layer from which up it is fine-tuned, in place of the registry's.

    Returns:
        A network from features (one input a backbone) where the backbones are frozen, else from the image (batch,
        img_px, img_px, 1), to class probabilities (batch, classes), or (batch, 1) of a sigmoid.
    """
    row = model_row(name)
    if mode == FROZEN:
        return head_of(name, classes, settings)
    image = keras.Input((img_px, img_px, 1), name="image")
    if mode == SCRATCH:
        return keras.Model(image, class_layer(builder_of(name).build(image), classes, settings), name=name)
    encoders = [build_encoder(backbone, img_px) for backbone in row.backbones]
    for backbone, encoder in zip(row.backbones, encoders, strict=True):
        body = encoder.get_layer(backbone)
        if mode == FULL:
            body.trainable = True
        else:
            unfreeze_from(body, (blocks or {}).get(backbone, BACKBONES[backbone].fine_tune_from))
    if mode == FULL:  # what features are like is for the network to learn, not for the head to be told
        settings = settings.model_copy(update={STANDARDIZE: False})
    head = head_of(name, classes, settings)
    return keras.Model(image, head([encoder(image) for encoder in encoders]), name=name)


def head_of(name: str, classes: int, settings: HeadSettings) -> keras.Model:
    """The head of a model with backbones, on its features."""
    row = model_row(name)
    return build_head({b: BACKBONES[b].features for b in row.backbones}, classes, settings, row.head)


def body_of(network: keras.Model, backbone: str) -> keras.Model:
    """The backbone within a network that was built with it."""
    return network.get_layer(f"{backbone}_encoder").get_layer(backbone)
