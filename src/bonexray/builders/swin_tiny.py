"""Swin-T, a transformer with attention in shifted windows; Keras has none, and KerasHub's hides its blocks in layers."""

from collections.abc import Mapping

import keras
import numpy as np
from keras import layers, ops

PATCH_PX, WINDOW = 4, 7
WIDTH, BLOCKS, HEADS = 96, (2, 2, 6, 2), (3, 6, 12, 24)  # the width doubles from stage to stage
EPSILON = 1e-5  # of layer normalisation
BARRED = -100.0  # added to the scores of tokens that a shift brings into one window, as in the authors' code
TORCH = {"kernel": "weight", "gamma": "weight", "bias": "bias", "beta": "bias"}  # Keras's and PyTorch's names
PARTS = {  # our names of the layers in a block, and the published ones
    "norm_1": "layernorm_before",
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "bias": "attention.self.relative_position_bias_table",
    "output": "attention.output.dense",
    "norm_2": "layernorm_after",
    "dense_1": "intermediate.dense",
    "dense_2": "output.dense",
}
OTHERS = {
    "patches": "embeddings.patch_embeddings.projection",
    "patches_norm": "embeddings.norm",
    "norm": "layernorm",
}


def build(px: int, name: str) -> keras.Model:
    """Build Swin-T: stages of 2, 2, 6 and 2 blocks, of width 96, 192, 384 and 768, with windows of 7 x 7 tokens.

    Args:
        px: side of the images, a multiple of 224, so that windows fill the maps of every stage.
        name: name of the network.

    Returns:
        Network from images (batch, px, px, 3) to feature maps (batch, px / 32, px / 32, 768).

    References:
        Liu et al., Swin Transformer: hierarchical vision transformer using shifted windows, ICCV 2021.
    """
    image = keras.Input((px, px, 3))
    x = layers.Conv2D(WIDTH, PATCH_PX, strides=PATCH_PX, name="patches")(image)
    x = layers.LayerNormalization(epsilon=EPSILON, name="patches_norm")(x)
    for stage, (blocks, heads) in enumerate(zip(BLOCKS, HEADS, strict=True), 1):
        if stage > 1:
            x = _merged(x, f"stage{stage}_merging_")
        for block in range(1, blocks + 1):
            shift = WINDOW // 2 if block % 2 == 0 and x.shape[1] > WINDOW else 0
            x = _block(x, heads, shift, f"stage{stage}_block{block}_")
    return keras.Model(image, layers.LayerNormalization(epsilon=EPSILON, name="norm")(x), name=name)


def _merged(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """Join each 2 x 2 tokens to one of twice the width."""
    x = ops.concatenate([x[:, row::2, column::2] for column in (0, 1) for row in (0, 1)], axis=-1)
    x = layers.LayerNormalization(epsilon=EPSILON, name=f"{name}norm")(x)
    return layers.Dense(x.shape[-1] // 2, use_bias=False, name=f"{name}reduction")(x)


def _block(x: keras.KerasTensor, heads: int, shift: int, name: str) -> keras.KerasTensor:
    """Add attention within windows, and then two dense layers, each normalised before."""
    width = x.shape[-1]
    y = layers.LayerNormalization(epsilon=EPSILON, name=f"{name}norm_1")(x)
    parts = [layers.Dense(width, name=f"{name}{part}")(y) for part in ("query", "key", "value")]
    scores, values = WindowScores(heads, shift, name=f"{name}scores")(parts)
    y = layers.Softmax(name=f"{name}softmax")(Embedding(name=f"{name}bias")(scores))
    y = WindowSums(x.shape[1], shift, name=f"{name}sums")([y, values])
    x = layers.Add(name=f"{name}add_1")([x, layers.Dense(width, name=f"{name}output")(y)])
    y = layers.LayerNormalization(epsilon=EPSILON, name=f"{name}norm_2")(x)
    y = layers.Dense(4 * width, activation="gelu", name=f"{name}dense_1")(y)
    return layers.Add(name=f"{name}add_2")([x, layers.Dense(width, name=f"{name}dense_2")(y)])


class WindowScores(layers.Layer):
    """Cut maps into windows, and compute how well queries and keys agree within each."""

    def __init__(self, heads: int, shift: int, **options: object) -> None:
        super().__init__(**options)
        self.heads, self.shift = heads, shift

    def call(self, maps):
        """Return scores (batch, windows, heads, 49, 49) and values (batch, windows, heads, 49, width of a head).

        Args:
            maps: queries, keys and values, each (batch, side, side, width).
        """
        side = maps[0].shape[1]
        queries, keys, values = (_windows(part, self.heads, self.shift) for part in maps)
        scores = ops.matmul(queries * queries.shape[-1] ** -0.5, ops.swapaxes(keys, -1, -2))
        if self.shift:
            scores = scores + ops.cast(_barred(side, self.shift)[:, None], scores.dtype)
        return scores, values


class Embedding(layers.Layer):  # `backbones.cost` counts nothing for layers of this name
    """Add a learned bias to each score, by the position of the key relative to the query."""

    def build(self, shape: tuple) -> None:
        """Create the biases for scores (batch, windows, heads, 49, 49)."""
        normal = keras.initializers.RandomNormal(stddev=0.02)
        self.table = self.add_weight(((2 * WINDOW - 1) ** 2, shape[2]), normal, name="table")

    def call(self, scores):
        """Return scores of the same shape."""
        biases = ops.take(self.table, _relative_positions(), axis=0)
        return scores + ops.transpose(biases, (2, 0, 1))


class WindowSums(layers.Layer):
    """Sum values by their shares, and put the windows together to maps."""

    def __init__(self, side: int, shift: int, **options: object) -> None:
        super().__init__(**options)
        self.side, self.shift = side, shift

    def call(self, inputs):
        """Return maps (batch, side, side, width).

        Args:
            inputs: shares (batch, windows, heads, 49, 49) and values (batch, windows, heads, 49, width of a head).
        """
        shares, values = inputs
        count, width = self.side // WINDOW, values.shape[2] * values.shape[4]
        x = ops.transpose(ops.matmul(shares, values), (0, 1, 3, 2, 4))
        x = ops.reshape(x, (-1, count, count, WINDOW, WINDOW, width))
        x = ops.reshape(ops.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, self.side, self.side, width))
        return ops.roll(x, (self.shift, self.shift), axis=(1, 2)) if self.shift else x


def _windows(x, heads: int, shift: int):
    """Return maps (batch, side, side, width), shifted up and left, as (batch, windows, heads, 49, width of a head)."""
    side, width = x.shape[1], x.shape[3]
    count = side // WINDOW
    x = ops.roll(x, (-shift, -shift), axis=(1, 2)) if shift else x
    x = ops.reshape(x, (-1, count, WINDOW, count, WINDOW, heads, width // heads))
    x = ops.transpose(x, (0, 1, 3, 5, 2, 4, 6))
    return ops.reshape(x, (-1, count**2, heads, WINDOW**2, width // heads))


def _relative_positions() -> np.ndarray:
    """Return int (49, 49): for each pair of tokens of a window, the row of its bias."""
    rows, columns = np.divmod(np.arange(WINDOW**2), WINDOW)
    difference = [axis[:, None] - axis[None] + WINDOW - 1 for axis in (rows, columns)]
    return difference[0] * (2 * WINDOW - 1) + difference[1]


def _barred(side: int, shift: int) -> np.ndarray:
    """Return float (windows, 49, 49): `BARRED` for pairs of tokens that were not neighbours before the shift, else 0."""
    part = np.digitize(np.arange(side), (side - WINDOW, side - shift))
    regions = (3 * part[:, None] + part[None]).reshape(side // WINDOW, WINDOW, side // WINDOW, WINDOW)
    tokens = regions.transpose(0, 2, 1, 3).reshape(-1, WINDOW**2)
    return np.where(tokens[:, :, None] == tokens[:, None], 0.0, BARRED).astype(np.float32)


def assign_checkpoint(network: keras.Model, tensors: Mapping[str, np.ndarray]) -> None:
    """Assign the weights of a file in the layout of Hugging Face; what else it has, such as a top, is left out.

    Args:
        network: result of `build`.
        tensors: arrays by PyTorch's names, such as `swin.layernorm.weight` (768,), all with one prefix or none.

    Raises:
        ValueError: a tensor is missing or has another shape.
    """
    anchor = f"{OTHERS['patches']}.weight"
    prefix = next((name.removesuffix(anchor) for name in tensors if name.endswith(anchor)), "")
    for layer in network.layers:
        for weight in layer.weights:
            name = prefix + _source(layer.name, weight.name)
            if name not in tensors:
                raise ValueError(f"no tensor {name} in it")
            tensor = tensors[name]
            if weight.name == "kernel":  # PyTorch has the outputs first
                tensor = tensor.transpose(2, 3, 1, 0) if tensor.ndim == 4 else tensor.T
            weight.assign(tensor)


def _source(layer: str, weight: str) -> str:
    """Return the published name of a weight of a layer, without the prefix."""
    if layer in OTHERS:
        return f"{OTHERS[layer]}.{TORCH[weight]}"
    stage, block, part = layer.split("_", 2)
    number = int(stage.removeprefix("stage")) - 1
    if block == "merging":  # published as the end of the stage before
        return f"encoder.layers.{number - 1}.downsample.{part}.{TORCH[weight]}"
    source = f"encoder.layers.{number}.blocks.{int(block.removeprefix('block')) - 1}.{PARTS[part]}"
    return f"{source}.{TORCH[weight]}" if weight in TORCH else source


def copy_weights(source: keras.Model, target: keras.Model) -> None:
    """Copy weights between two of these networks for images of different sides; they have the same shapes."""
    target.set_weights(source.get_weights())
