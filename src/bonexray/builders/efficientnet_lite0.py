"""EfficientNet-Lite0, an EfficientNet without squeeze-and-excitation and with ReLU6; Keras has none of the Lite kind."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import keras
import numpy as np
from keras import layers

STEM, HEAD = 32, 1280  # filters, the same in every EfficientNet-Lite
EPSILON = 1e-3  # of batch normalisation


class Stage(NamedTuple):
    """Inverted residual blocks of one size; the first of them has the stride."""

    repeats: int
    kernel: int
    stride: int
    expansion: int
    filters: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)


def build(px: int, name: str) -> keras.Model:
    """Build EfficientNet-Lite0, with its layers named as in Keras's EfficientNet and without stochastic depth.

    Args:
        px: side of the images.
        name: name of the network.

    Returns:
        Network from images (batch, px, px, 3) to feature maps (batch, height, width, 1280).

    References:
        Tan and Le, EfficientNet: rethinking model scaling for convolutional neural networks, ICML 2019;
        https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite.
    """
    image = keras.Input((px, px, 3))
    x = _convolution(image, STEM, 3, 2, "stem_conv")
    x = _normalised(x, "stem_bn", "stem_activation")
    for block, stage, first in _blocks():
        x = _inverted_residual(x, block, stage, stage.stride if first else 1)
    x = _convolution(x, HEAD, 1, 1, "top_conv")
    return keras.Model(image, _normalised(x, "top_bn", "top_activation"), name=name)


def assign_checkpoint(network: keras.Model, tensors: Mapping[str, np.ndarray]) -> None:
    """Assign the weights of a checkpoint of efficientnet-lite-pytorch, whose top is left out.

    Args:
        network: result of `build`.
        tensors: arrays by PyTorch's names, such as `_blocks.0._depthwise_conv.weight` (filters, 1, 3, 3).

    Raises:
        KeyError: a tensor is missing.
        ValueError: a tensor has another shape.
    """
    for name, source in _sources():
        layer, kernel = network.get_layer(name), tensors[f"{source}.weight"]
        if isinstance(layer, layers.BatchNormalization):
            statistics = [tensors[f"{source}.{part}"] for part in ("bias", "running_mean", "running_var")]
            layer.set_weights([kernel, *statistics])
        elif isinstance(layer, layers.DepthwiseConv2D):
            layer.set_weights([kernel.transpose(2, 3, 0, 1)])
        else:
            layer.set_weights([kernel.transpose(2, 3, 1, 0)])


def _blocks() -> Iterator[tuple[str, Stage, bool]]:
    """Yield the name of each block, such as `block2a_`, its stage, and whether it is the first of it."""
    for number, stage in enumerate(STAGES, 1):
        for repeat in range(stage.repeats):
            yield f"block{number}{'abcd'[repeat]}_", stage, repeat == 0


def _sources() -> Iterator[tuple[str, str]]:
    """Yield the names of all layers with weights, and the names of their tensors without the last part."""
    yield from (("stem_conv", "_conv_stem"), ("stem_bn", "_bn0"), ("top_conv", "_conv_head"), ("top_bn", "_bn1"))
    for number, (block, stage, _) in enumerate(_blocks()):
        parts = {"dwconv": "_depthwise_conv", "bn": "_bn1", "project_conv": "_project_conv", "project_bn": "_bn2"}
        if stage.expansion > 1:
            parts |= {"expand_conv": "_expand_conv", "expand_bn": "_bn0"}
        for layer, source in parts.items():
            yield f"{block}{layer}", f"_blocks.{number}.{source}"


def _inverted_residual(x: keras.KerasTensor, block: str, stage: Stage, stride: int) -> keras.KerasTensor:
    """Expand, filter each channel, and project; add the input where it has the same shape."""
    entry = x
    if stage.expansion > 1:
        x = _convolution(x, x.shape[-1] * stage.expansion, 1, 1, f"{block}expand_conv")
        x = _normalised(x, f"{block}expand_bn", f"{block}expand_activation")
    depthwise = layers.DepthwiseConv2D(
        stage.kernel, stride, padding="same", use_bias=False, depthwise_initializer="he_normal", name=f"{block}dwconv"
    )
    x = _normalised(depthwise(x), f"{block}bn", f"{block}activation")
    x = _convolution(x, stage.filters, 1, 1, f"{block}project_conv")
    x = layers.BatchNormalization(epsilon=EPSILON, name=f"{block}project_bn")(x)
    return layers.Add(name=f"{block}add")([x, entry]) if x.shape == entry.shape else x


def _convolution(x: keras.KerasTensor, filters: int, side: int, stride: int, name: str) -> keras.KerasTensor:
    initial = keras.initializers.VarianceScaling(2.0, "fan_out", "truncated_normal")  # the authors'
    return layers.Conv2D(filters, side, stride, padding="same", use_bias=False, kernel_initializer=initial, name=name)(
        x
    )


def _normalised(x: keras.KerasTensor, norm: str, activation: str) -> keras.KerasTensor:
    return layers.ReLU(6.0, name=activation)(layers.BatchNormalization(epsilon=EPSILON, name=norm)(x))
