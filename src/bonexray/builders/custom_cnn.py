"""The first network of the twelve-model osteoporosis study, for training from scratch."""

import keras
from keras import layers


def build(image: keras.KerasTensor) -> keras.KerasTensor:
    """Build eight convolutions with ReLU and four pools, flattened.

    128 8x8 stride 3; 256 5x5, pool 3; 256 3x3; 256 1x1; 512 3x3, pool 2; 512 3x3 twice, pool 2; 512 3x3, pool 2.

    Parameters, on one channel, with s the side of the last maps and k classes: convolutions 8 320 + 819 456 +
    590 080 + 65 792 + 1 180 160 + 3 x 2 359 808, classes (512 s² + 1) k; at 128 px (s = 1) and 3 classes 9 744 771.

    Args:
        image: tensor (batch, px, px, 1), px at least 77.

    Returns:
        Tensor (batch, features) for the classification layer.
    """
    x = _convolution(image, "conv1", 128, 8, strides=3, padding="valid")
    x = _convolution(x, "conv2", 256, 5)
    x = layers.MaxPooling2D(3, name="conv2_pool")(x)
    x = _convolution(x, "conv3", 256, 3)
    x = _convolution(x, "conv4", 256, 1)
    x = _convolution(x, "conv5", 512, 3)
    x = layers.MaxPooling2D(2, name="conv5_pool")(x)
    x = _convolution(x, "conv6", 512, 3)
    x = _convolution(x, "conv7", 512, 3)
    x = layers.MaxPooling2D(2, name="conv7_pool")(x)
    x = _convolution(x, "conv8", 512, 3)
    x = layers.MaxPooling2D(2, name="conv8_pool")(x)
    return layers.Flatten(name="flatten")(x)


def _convolution(x, name: str, filters: int, side: int, **options: object) -> keras.KerasTensor:
    options = {"padding": "same", "activation": "relu", "kernel_initializer": "he_uniform", **options}
    return layers.Conv2D(filters, side, name=name, **options)(x)
