"""A CNN of four convolutions and a wide dense layer, for training from scratch."""

import keras
from keras import layers


def build(image: keras.KerasTensor) -> keras.KerasTensor:
    """Build four 3x3 convolutions of 32, 64, 128 and 256 filters and a dense layer of 1024.

    Each convolution is followed by batch normalisation, ReLU and max-pooling by 2; dropout of 0.3 follows the
    second, the fourth and the dense layer; He uniform initialisation and L2 throughout.

    Parameters, with s = px // 16 and k classes: convolutions 320 + 18 496 + 73 856 + 295 168, batch
    normalisation 4 (32 + 64 + 128 + 256) = 1 920, dense 256 s² 1024 + 1024, classes 1025 k; at 128 px and 3
    classes 17 171 075.

    Args:
        image: tensor (batch, px, px, 1), px at least 16.

    Returns:
        Tensor (batch, 1024) for the classification layer.
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
