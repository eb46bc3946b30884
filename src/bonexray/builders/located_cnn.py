"""A small U-Net that draws where a finding is, and tells the class from what it has drawn."""

import keras
from keras import layers

FILTERS = (16, 24, 32, 48)  # of the scales, from the whole image to an eighth of its side
MOMENTUM = 0.9  # of moving statistics; Keras's 0.99 needs more steps to converge than a small cohort gives


def build(image: keras.KerasTensor) -> keras.KerasTensor:
    """Build an encoder of four scales, a decoder back to the whole image, a map of evidence, and pooling by it.

    Each scale has one 3x3 convolution with batch normalisation and ReLU; the encoder pools by 2 between scales, the
    decoder resizes to the next scale and joins the encoder's maps of it. A 1x1 convolution with a sigmoid gives the
    evidence in [0, 1] of each pixel, which training teaches with masks or boxes. The class is told from the strongest
    evidence, its mean, and the decoder's maps at the places of the strongest, by a softmax over the places. So what
    decides is what is shown.

    Parameters, with k classes: encoder 144 + 3 456 + 6 912 + 13 824, decoder 23 040 + 12 096 + 5 760, batch
    normalisation 4 (16 + 24 + 32 + 48 + 32 + 24 + 16) = 768, evidence 17, classes 19 k; at 3 classes 66 074, whatever
    the side.

    Args:
        image: tensor (batch, px, px, 1), px at least 8.

    Returns:
        Tensor (batch, 18) for the classification layer.

    References:
        Ronneberger et al., U-Net: convolutional networks for biomedical image segmentation, MICCAI 2015; pooling by a
        map that is trained: Ilse et al., Attention-based deep multiple instance learning, ICML 2018.
    """
    x, skips = image, []
    for scale, filters in enumerate(FILTERS, 1):
        x = _convolution(x, f"conv{scale}", filters)
        if scale < len(FILTERS):
            skips.append(x)
            x = layers.MaxPooling2D(2, name=f"conv{scale}_pool")(x)
    for scale, skip in reversed(list(enumerate(skips, 1))):
        x = layers.Resizing(*skip.shape[1:3], interpolation="bilinear", name=f"up{scale}")(x)
        x = layers.Concatenate(name=f"join{scale}")([x, skip])
        x = _convolution(x, f"up{scale}_conv", FILTERS[scale - 1])
    # Few pixels are on a finding: at first none is taken for one, so that the loss does not start from its worst.
    rare = keras.initializers.Constant(-3.0)
    places = layers.Conv2D(1, 1, bias_initializer=rare, dtype="float32", name="places")(x)
    evidence = layers.Activation("sigmoid", dtype="float32", name="evidence")(places)
    attention = layers.Softmax(dtype="float32", name="attention")(layers.Flatten(name="listed_places")(places))
    listed = layers.Reshape((-1, x.shape[-1]), name="listed_maps")(x)
    attended = layers.Dot(axes=1, dtype="float32", name="attended")([listed, attention])
    strongest = layers.GlobalMaxPooling2D(name="strongest")(evidence)
    mean = layers.GlobalAveragePooling2D(name="pool")(evidence)
    return layers.Concatenate(dtype="float32", name="pooled")([strongest, mean, attended])


def _convolution(x: keras.KerasTensor, name: str, filters: int) -> keras.KerasTensor:
    x = layers.Conv2D(filters, 3, padding="same", use_bias=False, kernel_initializer="he_uniform", name=name)(x)
    x = layers.BatchNormalization(momentum=MOMENTUM, name=f"{name}_norm")(x)
    return layers.ReLU(name=f"{name}_relu")(x)
