"""ResNet-18 of KerasHub; `keras.applications` begins with ResNet-50."""

import keras
import keras_hub


def build(px: int, name: str) -> keras.Model:
    """Build ResNet-18: basic blocks 2-2-2-2 of 64, 128, 256 and 512 filters.

    Args:
        px: side of the images.
        name: name of the network.

    Returns:
        Network from images (batch, px, px, 3) to feature maps (batch, height, width, 512).

    References:
        He et al., Deep residual learning for image recognition, CVPR 2016.
    """
    return keras_hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64, 128, 256, 512],
        stackwise_num_blocks=[2, 2, 2, 2],
        stackwise_num_strides=[1, 2, 2, 2],
        block_type="basic_block",
        use_pre_activation=False,
        image_shape=(px, px, 3),
        name=name,
    )
