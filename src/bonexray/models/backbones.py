"""A frozen backbone as one network: a grayscale image in, globally average-pooled features out."""

import keras

from bonexray.models.registry import BACKBONES

# What published weights expect, as (scale, offset) a channel of an image in [0, 1]; `caffe` is in the order BGR.
_CAFFE_MEAN = (103.939, 116.779, 123.68)
_TORCH_MEAN, _TORCH_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CONVENTIONS: dict[str, tuple[list[float], list[float]]] = {
    "caffe": ([255.0] * 3, [-mean for mean in _CAFFE_MEAN]),
    "torch": (
        [1 / std for std in _TORCH_STD],
        [-m / s for m, s in zip(_TORCH_MEAN, _TORCH_STD, strict=True)],
    ),
    "tf": ([2.0] * 3, [-1.0] * 3),
}


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
    return keras.layers.Rescaling(scale, offset, name=f"{convention}_convention")(rgb)


def build_body(name: str, img_px: int) -> keras.Model:
    """The backbone alone, without top, its weights as Keras initialises them: the network the weights files fit.

    Args:
        name: a key of `BACKBONES`.
        img_px: side of the image.
    """
    builder = getattr(keras.applications, BACKBONES[name].builder)
    return builder(include_top=False, weights=None, input_shape=(img_px, img_px, 3), name=name)


def build_encoder(name: str, img_px: int) -> keras.Model:
    """Grayscale image (batch, img_px, img_px, 1) in [0, 1] to features (batch, features), frozen."""
    body = build_body(name, img_px)
    body.trainable = False
    image = keras.Input((img_px, img_px, 1), name="image")
    maps = body(to_convention(image, BACKBONES[name].convention), training=False)
    return keras.Model(image, keras.layers.GlobalAveragePooling2D(name="features")(maps), name=f"{name}_encoder")
