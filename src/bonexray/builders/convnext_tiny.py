"""ConvNeXt-Tiny with its last normalisation behind the average over places, as its published weights expect it."""

import keras


def build(px: int, name: str) -> keras.Model:
    """Build ConvNeXt-Tiny; it ends in normalised averages, where Keras normalises the maps.

    Args:
        px: side of the image (batch, px, px, 3).
        name: of the network.

    Returns:
        A network with an output of (batch, 768).

    References:
        Liu et al., A ConvNet for the 2020s, CVPR 2022.
    """
    body = keras.applications.ConvNeXtTiny(include_top=False, weights=None, input_shape=(px, px, 3), name=name)
    norm = body.layers[-1]
    maps = keras.layers.Identity(name="maps")(norm.input)
    return keras.Model(body.input, norm(keras.layers.GlobalAveragePooling2D(name="pool")(maps)), name=name)
