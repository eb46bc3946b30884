"""AlexNet in one tower, for training from scratch."""

import keras
from keras import layers


def build(image: keras.KerasTensor) -> keras.KerasTensor:
    """Build AlexNet in one tower, with batch normalisation in place of local response normalisation.

    Five convolutions: 96 of 11x11 with stride 4, 256 of 5x5, and 384, 384 and 256 of 3x3; 3x3 pools of stride 2 after
    the first, second and fifth; two dense layers of 4096, each followed by dropout of 0.5.

    Parameters for one channel, k classes and last maps of side s: convolutions 11 712 + 614 656 +
    885 120 + 1 327 488 + 884 992, batch normalisation 4 (96 + 256) = 1 408, dense 256 s² 4096 + 4096 and
    16 781 312, classes 4097 k; at 128 px (s = 2) and 3 classes 24 717 379.

    Args:
        image: tensor (batch, px, px, 1), px at least 67.

    Returns:
        Tensor (batch, 4096) for the classification layer.

    References:
        Krizhevsky et al., ImageNet classification with deep convolutional neural networks, NeurIPS 2012.
    """
    x = _convolution(image, "conv1", 96, 11, strides=4, padding="valid")
    x = layers.BatchNormalization(name="conv1_norm")(x)
    x = layers.MaxPooling2D(3, 2, name="conv1_pool")(x)
    x = _convolution(x, "conv2", 256, 5)
    x = layers.BatchNormalization(name="conv2_norm")(x)
    x = layers.MaxPooling2D(3, 2, name="conv2_pool")(x)
    x = _convolution(x, "conv3", 384, 3)
    x = _convolution(x, "conv4", 384, 3)
    x = _convolution(x, "conv5", 256, 3)
    x = layers.MaxPooling2D(3, 2, name="conv5_pool")(x)
    x = layers.Flatten(name="flatten")(x)
    for name in ("dense1", "dense2"):
        x = layers.Dense(4096, activation="relu", kernel_initializer="he_uniform", name=name)(x)
        x = layers.Dropout(0.5, name=f"{name}_dropout")(x)
    return x


def _convolution(x, name: str, filters: int, side: int, **options: object) -> keras.KerasTensor:
    options = {"padding": "same", "activation": "relu", "kernel_initializer": "he_uniform", **options}
    return layers.Conv2D(filters, side, name=name, **options)(x)
