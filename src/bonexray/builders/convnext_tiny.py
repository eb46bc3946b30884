"""ConvNeXt-Tiny with its last normalisation after global average pooling, as its published weights expect."""

import keras


def build(px: int, name: str) -> keras.Model:
    """Build ConvNeXt-Tiny, which normalises pooled features where that of Keras without top normalises maps.

    Args:
        px: side of the images.
        name: name of the network.

    Returns:
        Network from images (batch, px, px, 3) to features (batch, 768).

    References:
        Liu et al., A ConvNet for the 2020s, CVPR 2022.
    """
    body = keras.applications.ConvNeXtTiny(include_top=False, weights=None, input_shape=(px, px, 3), name=name)
    norm = body.layers[-1]
    maps = keras.layers.Identity(name="maps")(norm.input)
    return keras.Model(body.input, norm(keras.layers.GlobalAveragePooling2D(name="pool")(maps)), name=name)
