"""Vision transformers with published weights: DeiT, DINOv2 and its descendants, and the image part of SigLIP."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import keras
import numpy as np
from keras import layers, ops

EPSILON = 1e-6  # of layer normalisation
TORCH = {"kernel": "weight", "gamma": "weight", "bias": "bias", "beta": "bias"}  # Keras's and PyTorch's names
PARTS = ("norm_1", "query", "key", "value", "attention_output", "norm_2", "dense_1", "dense_2")  # of a block
CUBIC = -0.75  # of bicubic interpolation, as in PyTorch; TensorFlow has -0.5


class Layout(NamedTuple):
    """Names of the tensors in a published file, after a prefix that they share."""

    patches: str
    class_token: str | None
    positions: str
    block: str
    parts: dict[str, str]  # by our names of the layers in a block
    norm: str


def _parts(names: str) -> dict[str, str]:
    return dict(zip(PARTS, names.split(), strict=True))


DEIT = Layout(
    patches="embeddings.patch_embeddings.projection",
    class_token="embeddings.cls_token",
    positions="embeddings.position_embeddings",
    block="encoder.layer.{}.",
    parts=_parts(
        "layernorm_before attention.attention.query attention.attention.key attention.attention.value "
        "attention.output.dense layernorm_after intermediate.dense output.dense"
    ),
    norm="layernorm",
)
DINOV2 = DEIT._replace(
    parts=_parts(
        "norm1 attention.attention.query attention.attention.key attention.attention.value attention.output.dense "
        "norm2 mlp.fc1 mlp.fc2"
    )
    | {"scale_1": "layer_scale1.lambda1", "scale_2": "layer_scale2.lambda1"}
)
SIGLIP = Layout(
    patches="embeddings.patch_embedding",
    class_token=None,
    positions="embeddings.position_embedding.weight",
    block="encoder.layers.{}.",
    parts=_parts(
        "layer_norm1 self_attn.q_proj self_attn.k_proj self_attn.v_proj self_attn.out_proj layer_norm2 mlp.fc1 mlp.fc2"
    ),
    norm="post_layernorm",
)


class Kind(NamedTuple):
    """A vision transformer.

    Attributes:
        layout: of its published file. It has a class token if its layout has one, and scales if its blocks have some.
        patch_px: side of a patch.
        width: length of a token.
        blocks: number of blocks.
        heads: number of heads of the attention.
        dense: width of the first dense layer of a block.
        statistics: mean and standard deviation by which the network itself normalises an image in 0 to 255, if it does.
    """

    layout: Layout
    patch_px: int
    width: int
    blocks: int
    heads: int
    dense: int
    statistics: tuple[float, float] | None = None


KINDS = {
    "deit_tiny": Kind(DEIT, 16, 192, 12, 3, 768),
    "dinov2_small": Kind(DINOV2, 14, 384, 12, 6, 1536),
    "dinov2_base": Kind(DINOV2, 14, 768, 12, 12, 3072),
    "rad_dino": Kind(DINOV2, 14, 768, 12, 12, 3072, (0.5307 * 255, 0.2583 * 255)),
    "siglip2_base": Kind(SIGLIP, 16, 768, 12, 12, 3072),
    "medsiglip": Kind(SIGLIP, 14, 1152, 27, 16, 4304),
}


def build(px: int, name: str) -> keras.Model:
    """Build a vision transformer that outputs its normalised patch tokens as maps.

    A class token takes part in attention and is then dropped, so that features are averaged over positions as in a
    convolutional network. SigLIP's pooling by attention is left out.

    Args:
        px: side of the images, a multiple of the patch.
        name: name of the network, a key of `KINDS`.

    Returns:
        Network from images (batch, px, px, 3) to feature maps (batch, px / patch, px / patch, width).

    References:
        Touvron et al., Training data-efficient image transformers, ICML 2021; Oquab et al., DINOv2, TMLR 2024;
        Tschannen et al., SigLIP 2, 2025; Perez-Garcia et al., Exploring scalable medical image encoders beyond text
        supervision, Nature Machine Intelligence 2025 (RAD-DINO).
    """
    kind = KINDS[name]
    image = x = keras.Input((px, px, 3))
    if kind.statistics:
        mean, std = kind.statistics
        x = layers.Rescaling(1 / std, -mean / std, name="normalise")(x)
    x = layers.Conv2D(kind.width, kind.patch_px, strides=kind.patch_px, name="patches")(x)
    x = layers.Reshape((-1, kind.width), name="tokens")(x)
    x = Embedding(bool(kind.layout.class_token), name="embedding")(x)
    for number in range(1, kind.blocks + 1):
        x = _block(x, kind, f"block{number}_")
    x = layers.LayerNormalization(epsilon=EPSILON, name="norm")(x)
    grid = px // kind.patch_px
    maps = layers.Reshape((grid, grid, kind.width), name="patch_maps")(x[:, -(grid**2) :])
    return keras.Model(image, maps, name=name)


class Embedding(layers.Layer):  # `backbones.cost` counts nothing for layers of this name
    """Put a learned class token before the patch tokens, if there is one, and add a learned position to each token."""

    def __init__(self, class_token: bool, **options: object) -> None:
        super().__init__(**options)
        self.with_class_token = class_token

    def build(self, shape: tuple) -> None:
        """Create the weights for tokens (batch, patches, width)."""
        normal = keras.initializers.RandomNormal(stddev=0.02)
        if self.with_class_token:
            self.class_token = self.add_weight((1, shape[2]), normal, name="class_token")
        tokens = shape[1] + self.with_class_token
        self.positions = self.add_weight((tokens, shape[2]), normal, name="positions")

    def call(self, patches):
        """Return tokens (batch, 1 + patches, width), or (batch, patches, width) without a class token."""
        if self.with_class_token:
            first = ops.broadcast_to(self.class_token, (ops.shape(patches)[0], 1, patches.shape[2]))
            patches = ops.concatenate([first, patches], axis=1)
        return patches + self.positions


class LayerScale(layers.Layer):
    """Multiply each channel by a learned factor."""

    def build(self, shape: tuple) -> None:
        """Create the factors for tokens (batch, tokens, width)."""
        self.factors = self.add_weight((shape[-1],), "ones", name="factors")

    def call(self, tokens):
        """Return tokens of the same shape."""
        return tokens * self.factors


def gelu_of_siglip(x):
    """Return the approximation of GELU by a hyperbolic tangent."""
    return keras.activations.gelu(x, approximate=True)


def _block(x: keras.KerasTensor, kind: Kind, name: str) -> keras.KerasTensor:
    """Add attention, and then two dense layers, each normalised before and scaled after if the kind has scales."""
    gelu = gelu_of_siglip if kind.layout is SIGLIP else "gelu"
    y = layers.LayerNormalization(epsilon=EPSILON, name=f"{name}norm_1")(x)
    y = layers.MultiHeadAttention(kind.heads, kind.width // kind.heads, name=f"{name}attention")(y, y)
    x = layers.Add(name=f"{name}add_1")([x, _scaled(y, kind, f"{name}scale_1")])
    y = layers.LayerNormalization(epsilon=EPSILON, name=f"{name}norm_2")(x)
    y = layers.Dense(kind.dense, activation=gelu, name=f"{name}dense_1")(y)
    y = layers.Dense(kind.width, name=f"{name}dense_2")(y)
    return layers.Add(name=f"{name}add_2")([x, _scaled(y, kind, f"{name}scale_2")])


def _scaled(x: keras.KerasTensor, kind: Kind, name: str) -> keras.KerasTensor:
    return LayerScale(name=name)(x) if name.split("_", 1)[1] in kind.layout.parts else x


def assign_checkpoint(network: keras.Model, tensors: Mapping[str, np.ndarray]) -> None:
    """Assign the weights of a file in the layout of Hugging Face; what else it has, such as a top, is left out.

    Args:
        network: result of `build` for images of the side that the file is for.
        tensors: arrays by PyTorch's names, such as `encoder.layer.0.norm1.weight` (width,), all with one prefix or none.

    Raises:
        ValueError: a tensor is missing or has another shape.
    """
    layout = KINDS[network.name].layout
    anchor = f"{layout.patches}.weight"
    prefix = next((name.removesuffix(anchor) for name in tensors if name.endswith(anchor)), "")
    for layer in network.layers:
        for weight in layer.weights:
            name = prefix + _source(layer.name, weight.path, layout)
            if name not in tensors:
                raise ValueError(f"no tensor {name} in it")
            tensor = tensors[name]
            if weight.name == "kernel":  # PyTorch has the outputs first
                tensor = tensor.transpose(2, 3, 1, 0) if tensor.ndim == 4 else tensor.T
            weight.assign(tensor.reshape(weight.shape))


def _source(layer: str, path: str, layout: Layout) -> str:
    """Return the published name of a weight of a layer, without the prefix."""
    part, weight = path.split("/")[-2:]
    if layer == "embedding":
        return getattr(layout, weight)
    if layer in ("patches", "norm"):
        return f"{getattr(layout, layer)}.{TORCH[weight]}"
    number, kind = layer.removeprefix("block").split("_", 1)
    source = layout.block.format(int(number) - 1) + layout.parts[part if kind == "attention" else kind]
    return f"{source}.{TORCH[weight]}" if weight in TORCH else source


def copy_weights(source: keras.Model, target: keras.Model) -> None:
    """Copy weights to the same network for images of another side; positions are interpolated as by the publishers."""
    for weight, value in zip(target.weights, source.weights, strict=True):
        weight.assign(value if weight.shape == value.shape else _interpolated(value, weight.shape[0]))


def _interpolated(positions, tokens: int) -> np.ndarray:
    """Resize positions (side², width), or (1 + side², width) with a class token, to (tokens, width)."""
    array = keras.ops.convert_to_numpy(positions)
    old, new = math.isqrt(len(array)), math.isqrt(tokens)
    first = len(array) - old**2  # 1 with a class token
    grid = array[first:].reshape(old, old, -1)
    weights = _cubic_weights(old, new)
    resized = np.einsum("yi,xj,ijc->yxc", weights, weights, grid, optimize=True)
    return np.concatenate([array[:first], resized.reshape(new**2, -1)]).astype(array.dtype)


def _cubic_weights(old: int, new: int) -> np.ndarray:
    """Return the weights (new, old) of bicubic interpolation; beyond the edge, the last value is repeated."""
    weights, places = np.zeros((new, old)), (np.arange(new) + 0.5) * old / new - 0.5
    for neighbour in range(-1, 3):
        at = np.floor(places).astype(int) + neighbour
        distance = np.abs(places - at)
        near = (CUBIC + 2) * distance**3 - (CUBIC + 3) * distance**2 + 1
        far = CUBIC * (distance**3 - 5 * distance**2 + 8 * distance - 4)
        np.add.at(weights, (np.arange(new), at.clip(0, old - 1)), np.where(distance <= 1, near, far))
    return weights
