"""A backbone as one network: a grayscale image in, globally average-pooled features out."""

import difflib
from collections.abc import Iterator

import keras

from bonexray.errors import BonexrayError
from bonexray.registry import BACKBONES, builder_of

# What published weights expect, as (scale, offset) a channel of an image in [0, 1]; `caffe` is in the order BGR.
_CAFFE_MEAN = (103.939, 116.779, 123.68)
_TORCH_MEAN, TORCH_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CONVENTIONS: dict[str, tuple[list[float], list[float]]] = {
    "caffe": ([255.0] * 3, [-mean for mean in _CAFFE_MEAN]),
    "torch": (
        [1 / std for std in TORCH_STD],
        [-m / s for m, s in zip(_TORCH_MEAN, TORCH_STD, strict=True)],
    ),
    "tf": ([2.0] * 3, [-1.0] * 3),
    "0-255": ([255.0] * 3, [0.0] * 3),  # the network normalises by itself
}
CONVENTION = "convention"


def to_convention(gray, convention: str):
    """Bring a grayscale image to the three channels that weights of a convention expect.

    Args:
        gray: tensor (batch, height, width, 1) in [0, 1].
        convention: a key of `CONVENTIONS`.

    Returns:
        Tensor (batch, height, width, 3).
    """
    scale, offset = CONVENTIONS[convention]
    rgb = keras.layers.Concatenate(name="gray_to_rgb")([gray, gray, gray])
    return keras.layers.Rescaling(scale, offset, name=CONVENTION)(rgb)


def build_body(name: str, img_px: int) -> keras.Model:
    """The backbone alone, without top, its weights as Keras initialises them: the network the weights files fit.

    It ends in feature maps; ConvNeXt in their averages, which it normalises.

    Args:
        name: a key of `BACKBONES`.
        img_px: side of the image.
    """
    builder = builder_of(name)
    if builder:
        return builder.build(img_px, name)
    build = getattr(keras.applications, BACKBONES[name].builder)
    return build(include_top=False, weights=None, input_shape=(img_px, img_px, 3), name=name)


def build_encoder(name: str, img_px: int) -> keras.Model:
    """Grayscale image (batch, img_px, img_px, 1) in [0, 1] to features (batch, features), frozen.

    Args:
        name: a key of `BACKBONES`.
        img_px: side of the image.
    """
    body = build_body(name, img_px)
    body.trainable = False
    image = keras.Input((img_px, img_px, 1), name="image")
    features = body(to_convention(image, BACKBONES[name].convention))
    if len(features.shape) == 4:
        features = keras.layers.GlobalAveragePooling2D(name="features")(features)
    return keras.Model(image, features, name=f"{name}_encoder")


def unfreeze_from(body: keras.Model, first: str) -> None:
    """Make a layer and all that come after it trainable, except batch normalisation, and only these.

    Batch normalisation keeps its statistics, scales and offsets: they were fitted to more images than a batch holds.
    It is made untrainable for that, because `fit` overrides a `training=False` given where the network was built.

    Args:
        body: a backbone, its layers in the order of the flow.
        first: name of a layer, or of a block of a transformer.

    Raises:
        BonexrayError: it has no such layer.
    """
    layers = list(_layers_in_order(body))
    names = [layer.name for layer in layers]
    if first not in names:
        near = difflib.get_close_matches(first, names, n=3) or names[-3:]
        raise BonexrayError(
            f"fine_tune.blocks.{body.name}",
            expected=f"a layer of it, perhaps {', '.join(near)}",
            received=repr(first),
            do="correct the name",
        )
    body.trainable = True
    for number, layer in enumerate(layers):
        if number < names.index(first) or isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False


def _layers_in_order(body: keras.Model) -> Iterator[keras.Layer]:
    for layer in body.layers:
        if hasattr(layer, "encoder_layers"):  # KerasHub keeps a transformer's blocks within one layer
            yield from layer.encoder_layers
        else:
            yield layer
