"""Networks trained from scratch, one function each: image (batch, px, px, 1) to the vector before the classes."""

import keras
from keras import layers


def alexnet(image: keras.KerasTensor) -> keras.KerasTensor:
    """AlexNet in one tower, with batch normalisation in place of local response normalisation.

    Convolutions of 96 11x11 stride 4, 256 5x5, 384, 384 and 256 3x3; 3x3 pools of stride 2 after the first, second
    and fifth; two dense layers of 4096, each followed by dropout of 0.5.

    Parameters, on one channel, with s the side of the last maps and k classes: convolutions 11 712 + 614 656 +
    885 120 + 1 327 488 + 884 992, batch normalisation 4 (96 + 256) = 1 408, dense 256 s² 4096 + 4096 and
    16 781 312, classes 4097 k; at 128 px (s = 2) and 3 classes 24 717 379.

    Args:
        image: side at least 67 px.

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


def custom_cnn(image: keras.KerasTensor) -> keras.KerasTensor:
    """Eight convolutions with ReLU and four pools, flattened: the first network of the twelve-model study.

    128 8x8 stride 3; 256 5x5, pool 3; 256 3x3; 256 1x1; 512 3x3, pool 2; 512 3x3 twice, pool 2; 512 3x3, pool 2.

    Parameters, on one channel, with s the side of the last maps and k classes: convolutions 8 320 + 819 456 +
    590 080 + 65 792 + 1 180 160 + 3 x 2 359 808, classes (512 s² + 1) k; at 128 px (s = 1) and 3 classes 9 744 771.

    Args:
        image: side at least 77 px.
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


def compact_cnn(image: keras.KerasTensor) -> keras.KerasTensor:
    """Four 3x3 convolutions of 32, 64, 128 and 256 filters and a dense layer of 1024.

    Each convolution is followed by batch normalisation, ReLU and max-pooling by 2; dropout of 0.3 follows the
    second, the fourth and the dense layer; He uniform initialisation and L2 throughout.

    Parameters, with s = px // 16 and k classes: convolutions 320 + 18 496 + 73 856 + 295 168, batch
    normalisation 4 (32 + 64 + 128 + 256) = 1 920, dense 256 s² 1024 + 1024, classes 1025 k; at 128 px and 3
    classes 17 171 075.

    Args:
        image: side at least 16 px.
    """
    regular = {"kernel_initializer": "he_uniform", "kernel_regularizer": keras.regularizers.L2(1e-4)}
    x = image
    for block, filters in enumerate((32, 64, 128, 256), 1):
        x = layers.Conv2D(filters, 3, padding="same", name=f"conv{block}", **regular)(x)
        x = layers.BatchNormalization(name=f"conv{block}_norm")(x)
        x = layers.ReLU(name=f"conv{block}_relu")(x)
        x = layers.MaxPooling2D(2, name=f"conv{block}_pool")(x)
        if block in (2, 4):
            x = layers.Dropout(0.3, name=f"conv{block}_dropout")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(1024, activation="relu", name="dense", **regular)(x)
    return layers.Dropout(0.3, name="dense_dropout")(x)


def _convolution(x, name: str, filters: int, side: int, **options: object) -> keras.KerasTensor:
    options = {"padding": "same", "activation": "relu", "kernel_initializer": "he_uniform", **options}
    return layers.Conv2D(filters, side, name=name, **options)(x)
