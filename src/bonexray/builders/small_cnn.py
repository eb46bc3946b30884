"""A CNN of four narrow convolutions and global average pooling, for training from scratch on few images."""

import keras
from keras import layers

FILTERS = (16, 32, 64, 128)
MOMENTUM = 0.9  # of moving statistics; Keras's 0.99 needs more steps to converge than a small cohort gives


def build(image: keras.KerasTensor) -> keras.KerasTensor:
    """Build four 3x3 convolutions of 16, 32, 64 and 128 filters and global average pooling.

    Each convolution is followed by batch normalisation and ReLU, and each but the last by max-pooling by 2. The
    design is that of the small CBR networks (convolution, batch normalisation, ReLU), which did as well on medical
    images as networks with ImageNet weights; the kernels are smaller and the filters fewer.

    Parameters, with k classes: convolutions without bias 144 + 4 608 + 18 432 + 73 728, batch normalisation
    4 (16 + 32 + 64 + 128) = 960, classes 129 k; at 3 classes 98 259, whatever the side.

    Args:
        image: tensor (batch, px, px, 1), px at least 8.

    Returns:
        Tensor (batch, 128) for the classification layer.

    References:
        Raghu et al., Transfusion: understanding transfer learning for medical imaging, NeurIPS 2019; Lin et al.,
        Network in network, ICLR 2014 (global average pooling).
    """
    x = image
    for block, filters in enumerate(FILTERS, 1):
        name = f"conv{block}"
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False, kernel_initializer="he_uniform", name=name)(x)
        x = layers.BatchNormalization(momentum=MOMENTUM, name=f"{name}_norm")(x)
        x = layers.ReLU(name=f"{name}_relu")(x)
        if block < len(FILTERS):
            x = layers.MaxPooling2D(2, name=f"{name}_pool")(x)
    return layers.GlobalAveragePooling2D(name="pool")(x)
