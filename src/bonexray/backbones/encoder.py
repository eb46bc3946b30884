"""Encoders: backbones as networks from grayscale images to globally average-pooled features."""

import difflib
from collections.abc import Iterator

import keras

from bonexray.base.errors import BonexrayError
from bonexray.registry import BACKBONES, builder_of

# The scale and offset of each channel of an image in [0, 1], as published weights expect them; `caffe` and
# `radimagenet` are in BGR order.
_CAFFE_MEAN = (103.939, 116.779, 123.68)
_TORCH_MEAN, TORCH_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CONVENTIONS: dict[str, tuple[list[float], list[float]]] = {
    "caffe": ([255.0] * 3, [-mean for mean in _CAFFE_MEAN]),
    "torch": (
        [1 / std for std in TORCH_STD],
        [-m / s for m, s in zip(_TORCH_MEAN, TORCH_STD, strict=True)],
    ),
    "tf": ([2.0] * 3, [-1.0] * 3),
    "lite": ([255.0 / 128] * 3, [-127.0 / 128] * 3),
    "0-255": ([255.0] * 3, [0.0] * 3),  # the network itself normalises
    "radimagenet": ([1.0] * 3, [-mean / 255 for mean in _CAFFE_MEAN]),  # `caffe`, then divided by 255
}
GRAY_TO_RGB, CONVENTION = "gray_to_rgb", "convention"


def to_convention(gray, convention: str):
    """Convert grayscale images to the three channels that the weights of a convention expect.

    Args:
        gray: tensor (batch, height, width, 1) in [0, 1].
        convention: a key of `CONVENTIONS`.

    Returns:
        Tensor (batch, height, width, 3).
    """
    scale, offset = CONVENTIONS[convention]
    rgb = keras.layers.Concatenate(name=GRAY_TO_RGB)([gray, gray, gray])
    return keras.layers.Rescaling(scale, offset, name=CONVENTION)(rgb)


def build_backbone(name: str, img_px: int) -> keras.Model:
    """Build a backbone without top, with initial weights.

    Args:
        name: a key of `BACKBONES`.
        img_px: side of the images.

    Returns:
        Network from images (batch, img_px, img_px, 3) to feature maps, or to features (batch, features) if it pools
        them itself, as ConvNeXt does. Weights files are made for this network.
    """
    builder = builder_of(name)
    if builder:
        return builder.build(img_px, name)
    build = getattr(keras.applications, BACKBONES[name].builder)
    return build(include_top=False, weights=None, input_shape=(img_px, img_px, 3), name=name)


def build_encoder(name: str, img_px: int, convention: str | None = None) -> keras.Model:
    """Build a frozen backbone, with initial weights, and what belongs before and after it.

    Args:
        name: a key of `BACKBONES`.
        img_px: side of the images.
        convention: see `encoder_around`.

    Returns:
        Network from grayscale images (batch, img_px, img_px, 1) in [0, 1] to features (batch, features).
    """
    return encoder_around(build_backbone(name, img_px), name, convention)


def encoder_around(backbone: keras.Model, name: str, convention: str | None = None) -> keras.Model:
    """Freeze a backbone, and put the preprocessing before it and global average pooling after it.

    Args:
        backbone: network that `build_backbone` built.
        name: its key of `BACKBONES`.
        convention: a key of `CONVENTIONS`, of a weights file; None takes that of the row.

    Returns:
        Network from grayscale images (batch, img_px, img_px, 1) in [0, 1] to features (batch, features).
    """
    backbone.trainable = False
    image = keras.Input((*backbone.input_shape[1:3], 1), name="image")
    features = backbone(to_convention(image, convention or BACKBONES[name].convention))
    if len(features.shape) == 4:
        features = keras.layers.GlobalAveragePooling2D(name="features")(features)
    return keras.Model(image, features, name=f"{name}_encoder")


def unfreeze_from(backbone: keras.Model, first: str) -> None:
    """Make a layer and all later layers trainable, except batch normalisation, and freeze the rest.

    Batch normalisation keeps its statistics, scales and offsets, which were fitted to far more images than a batch
    has. It is made untrainable, because `fit` overrides `training=False` in the call of a layer.

    Args:
        backbone: network whose layers are in the order of execution.
        first: name of a layer, or of a block of a transformer.

    Raises:
        BonexrayError: there is no such layer.
    """
    layers = list(_layers_in_order(backbone))
    names = [layer.name for layer in layers]
    if first not in names:
        similar = difflib.get_close_matches(first, names, n=3) or names[-3:]
        raise BonexrayError(
            f"fine_tune.blocks.{backbone.name}",
            expected=f"a layer of it, such as {', '.join(similar)}",
            received=repr(first),
            do="correct the name",
        )
    backbone.trainable = True
    for number, layer in enumerate(layers):
        if number < names.index(first) or isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False


def _layers_in_order(backbone: keras.Model) -> Iterator[keras.Layer]:
    for layer in backbone.layers:
        if hasattr(layer, "encoder_layers"):  # in KerasHub, one layer holds all blocks of a transformer
            yield from layer.encoder_layers
        else:
            yield layer
