"""What an image costs a network: multiplications, each with its addition, counted from the layers' shapes.

Counted are convolutions, dense layers and attention. Not counted are additions alone, biases, activations, pooling,
scaling and every kind of normalisation: each is one or a few operations a number, below a hundredth of the whole.
A kind of layer that has weights and stands in neither list is refused, so that none is silently free.
"""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from bonexray.errors import BonexrayError

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
    """Multiplications, each with its addition, that a network does for one image.

    Args:
        network: functional or sequential, built for images of one side; networks within it are counted too.

    Raises:
        BonexrayError: it has a layer with weights that this module does not know.
    """
    return sum(layer_multiply_adds(layer) for layer in network.layers)


def layer_multiply_adds(layer: "keras.Layer") -> int:
    """Multiplications, each with its addition, of one layer of a network for one image.

    Raises:
        BonexrayError: the layer has weights and is of no known kind.
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
            do="say in backbones/cost.py what it costs",
        )
    return 0


def _elements(shape: tuple) -> int:
    return math.prod(shape[1:])


def _kernel(layer: "keras.Layer") -> int:
    return math.prod(layer.kernel.shape)


def _convolution(layer: "keras.Layer") -> int:
    """The kernel at every place; that of a grouped convolution has only its group's channels."""
    return _elements(layer.output.shape) // layer.filters * _kernel(layer)


def _depthwise(layer: "keras.Layer") -> int:
    height, width = layer.kernel.shape[:2]
    return _elements(layer.output.shape) * height * width


def _separable(layer: "keras.Layer") -> int:
    places = _elements(layer.output.shape) // layer.filters
    return places * (math.prod(layer.depthwise_kernel.shape) + math.prod(layer.pointwise_kernel.shape))


def _dense(layer: "keras.Layer") -> int:
    return _elements(layer.output.shape) // layer.units * _kernel(layer)


def _einsum_dense(layer: "keras.Layer") -> int:
    """Every number of the output sums over those axes of the kernel that the output no longer has."""
    operands, output = layer.equation.replace(" ", "").split("->")
    axes = zip(operands.split(",")[1], layer.kernel.shape, strict=True)
    return _elements(layer.output.shape) * math.prod(length for axis, length in axes if axis not in output)


def _attention(layer: "keras.Layer") -> int:
    asking, *others = layer.input if isinstance(layer.input, list) else [layer.input]
    return _attention_of(layer, asking.shape[1], others[0].shape[1] if others else asking.shape[1])


def _attention_of(layer: "keras.Layer", queries: int, values: int) -> int:
    """Four projections, the scores of every query with every key, and the values weighted by them."""
    projections = sum(
        math.prod(weight.shape) * (queries if weight.path.split("/")[-2] in ("query", "attention_output") else values)
        for weight in layer.weights
        if weight.name == "kernel"
    )
    return projections + queries * values * layer.num_heads * (layer.key_dim + layer.value_dim)


def _patches(layer: "keras.Layer") -> int:
    """One dense layer a patch; the class token costs nothing."""
    return (layer.output.shape[1] - 1) * _kernel(layer.patch_embedding)


def _transformer(layer: "keras.Layer") -> int:
    """Blocks of attention among all tokens and of two dense layers for each."""
    tokens = layer.output.shape[1]
    return sum(
        _attention_of(block.mha, tokens, tokens) + tokens * (_kernel(block.mlp.dense_1) + _kernel(block.mlp.dense_2))
        for block in layer.encoder_layers
    )


_COUNTED: dict[str, Callable[["keras.Layer"], int]] = {  # by name: KerasHub takes seconds to import
    "Conv2D": _convolution,
    "DepthwiseConv2D": _depthwise,
    "SeparableConv2D": _separable,
    "Dense": _dense,
    "EinsumDense": _einsum_dense,
    "MultiHeadAttention": _attention,
    "ViTPatchingAndEmbedding": _patches,
    "ViTEncoder": _transformer,
}
