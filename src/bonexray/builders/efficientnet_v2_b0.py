"""EfficientNetV2-B0 of Keras under a name of ours; Keras looks its blocks up by the name that it is given."""

import keras


def build(px: int, name: str) -> keras.Model:
    """Build EfficientNetV2-B0, which takes pixels in 0 to 255 and normalises them itself.

    Args:
        px: side of the images.
        name: name of the network.

    Returns:
        Network from images (batch, px, px, 3) to feature maps (batch, height, width, 1280).

    References:
        Tan and Le, EfficientNetV2: smaller models and faster training, ICML 2021.
    """
    network = keras.applications.EfficientNetV2B0(include_top=False, weights=None, input_shape=(px, px, 3))
    return keras.Model(network.input, network.output, name=name)
