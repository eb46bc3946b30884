"""The cost of a network for one image in multiply-adds, counted from the shapes of its layers.

Convolutions, dense layers and attention are counted. Biases, activations, pooling, scaling and normalisation are not:
they need a few operations per number, less than a hundredth of the total. Other layers with weights are refused, so
that no layer is counted as free by mistake.
"""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from bonexray.base.errors import BonexrayError

if TYPE_CHECKING:
    import keras

NOT_COUNTED = {
    "BatchNormalization",
    "LayerNormalization",
    "GroupNormalization",
    "Normalization",
    "Standardize",
    "LayerScale",
    "Embedding",
}


def multiply_adds(network: "keras.Model") -> int:
    """Count the multiply-adds of a network for one image.

    Args:
        network: functional or sequential, built for images of one side; nested networks are counted too.

    Raises:
        BonexrayError: a layer with weights is of an unknown kind.
    """
    return sum(layer_multiply_adds(layer) for layer in network.layers)


def layer_multiply_adds(layer: "keras.Layer") -> int:
    """Count the multiply-adds of one layer of a network for one image.

    Raises:
        BonexrayError: the layer has weights and is of an unknown kind.
    """
    if hasattr(layer, "layers"):
        return multiply_adds(layer)
    kind = type(layer).__name__
    if kind in _COUNTED:
        return _COUNTED[kind](layer)
    if layer.weights and kind not in NOT_COUNTED:
        raise BonexrayError(
            f"layer {layer.name}",
            expected=f"one of {', '.join([*_COUNTED, *sorted(NOT_COUNTED)])}",
            received=kind,
            do="add its cost to backbones/cost.py",
        )
    return 0


def _elements(shape: tuple) -> int:
    return math.prod(shape[1:])


def _kernel(layer: "keras.Layer") -> int:
    return math.prod(layer.kernel.shape)


def _convolution(layer: "keras.Layer") -> int:
    """Count the kernel at every position; that of a grouped convolution has only the channels of one group."""
    return _elements(layer.output.shape) // layer.filters * _kernel(layer)


def _depthwise(layer: "keras.Layer") -> int:
    height, width = layer.kernel.shape[:2]
    return _elements(layer.output.shape) * height * width


def _separable(layer: "keras.Layer") -> int:
    positions = _elements(layer.output.shape) // layer.filters
    return positions * (math.prod(layer.depthwise_kernel.shape) + math.prod(layer.pointwise_kernel.shape))


def _dense(layer: "keras.Layer") -> int:
    return _elements(layer.output.shape) // layer.units * _kernel(layer)


def _einsum_dense(layer: "keras.Layer") -> int:
    """Count, for every number of the output, the kernel's axes that are summed over."""
    operands, output = layer.equation.replace(" ", "").split("->")
    axes = zip(operands.split(",")[1], layer.kernel.shape, strict=True)
    return _elements(layer.output.shape) * math.prod(length for axis, length in axes if axis not in output)


def _attention(layer: "keras.Layer") -> int:
    query, *others = layer.input if isinstance(layer.input, list) else [layer.input]
    return _attention_of(layer, query.shape[1], others[0].shape[1] if others else query.shape[1])


def _attention_of(layer: "keras.Layer", queries: int, values: int) -> int:
    """Count the four projections, the scores of all pairs of query and key, and the weighted sums of values."""
    projections = sum(
        math.prod(weight.shape) * (queries if weight.path.split("/")[-2] in ("query", "attention_output") else values)
        for weight in layer.weights
        if weight.name == "kernel"
    )
    return projections + queries * values * layer.num_heads * (layer.key_dim + layer.value_dim)


def _patches(layer: "keras.Layer") -> int:
    """Count one dense layer per patch; the class token costs nothing."""
    return (layer.output.shape[1] - 1) * _kernel(layer.patch_embedding)


def _transformer(layer: "keras.Layer") -> int:
    """Count the blocks: attention among all tokens, and two dense layers for each token."""
    tokens = layer.output.shape[1]
    return sum(
        _attention_of(block.mha, tokens, tokens) + tokens * (_kernel(block.mlp.dense_1) + _kernel(block.mlp.dense_2))
        for block in layer.encoder_layers
    )


_COUNTED: dict[str, Callable[["keras.Layer"], int]] = {  # by name: KerasHub takes seconds to import
    "Conv2D": _convolution,
    "DepthwiseConvolution": _convolution,
    "DepthwiseConv2D": _depthwise,
    "SeparableConv2D": _separable,
    "Dense": _dense,
    "Ordinal": _kernel,
    "EinsumDense": _einsum_dense,
    "MultiHeadAttention": _attention,
    "ViTPatchingAndEmbedding": _patches,
    "ViTEncoder": _transformer,
}
