"""Blocks of a network, for a diagram of its architecture."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from bonexray.backbones.cost import layer_multiply_adds
from bonexray.registry import model_row

if TYPE_CHECKING:
    import keras

    Layers = Sequence["keras.Layer"]

TITLES = {
    "GlobalAveragePooling2D": "average over places",
    "Flatten": "flatten",
    "Concatenate": "side by side",
    "Standardize": "standardise",
    "ViTPatchingAndEmbedding": "patches to tokens",
    "ViTEncoder": "transformer",
    "Reshape": "tokens to maps",
    "LayerNormalization": "normalise",
}
KINDS_SHOWN = 4


@dataclass(frozen=True)
class Block:
    """One box of a diagram.

    Attributes:
        title: its name.
        kind: image, maps, tokens, features or classes.
        layers: its layers, in one line.
        shape: shape of its output, without the batch.
        parameters: number of parameters of its layers.
        multiply_adds: multiply-adds for one image.
    """

    title: str
    kind: str
    layers: str
    shape: tuple[int, ...]
    parameters: int
    multiply_adds: int


@dataclass(frozen=True)
class Diagram:
    """Blocks from input to output: the image, the backbones in parallel, and the layers after them.

    Attributes:
        image: the input.
        branches: the blocks of each backbone by its name; empty for a network without backbones.
        trunk: the blocks after them, up to the classes.
    """

    image: Block
    branches: dict[str, list[Block]]
    trunk: list[Block]


def diagram_of(network: "keras.Model", name: str) -> Diagram:
    """Divide a model of the registry into blocks.

    Args:
        network: a network from image to classes.
        name: a key of `REGISTRY`.
    """
    shape = tuple(network.input.shape[1:])
    image = Block("image", "image", "", shape, 0, 0)
    backbones = model_row(name).backbones
    if not backbones:
        return Diagram(image, {}, _blocks(network.layers))
    branches = {}
    for backbone in backbones:
        encoder = network.get_layer(f"{backbone}_encoder")
        after = encoder.layers[encoder.layers.index(encoder.get_layer(backbone)) + 1 :]
        branches[backbone] = _blocks([*encoder.get_layer(backbone).layers, *after])
    return Diagram(image, branches, _blocks(network.get_layer("head").layers))


def _blocks(layers: "Layers") -> list[Block]:
    """Return one block per size of feature maps, then one per layer that has weights or changes the shape."""
    layers = [layer for layer in layers if type(layer).__name__ != "InputLayer"]
    end = max((number for number, layer in enumerate(layers, 1) if _outputs_maps(layer)), default=0)
    return [*_stages(layers[:end]), *_steps(layers[end:])]


def _outputs_maps(layer: "keras.Layer") -> bool:
    return len(layer.output.shape) == 4 and type(layer).__name__ != "Reshape"  # a Reshape turns tokens into maps


def _stages(layers: "Layers") -> list[Block]:
    """Return the stages of a network; a stage ends after the last layer with maps of its size.

    Layers within it may have smaller maps, as in squeeze-and-excitation.
    """
    sides, largest = [], 0
    for layer in reversed(layers):
        if _outputs_maps(layer) and type(layer).__name__ != "ZeroPadding2D":  # padding belongs to the next stage
            largest = max(largest, layer.output.shape[1])
        sides.append(largest)
    groups = groupby(zip(layers, reversed(sides), strict=True), key=lambda pair: pair[1])
    stages = [[layer for layer, _ in pairs] for _, pairs in groups]
    later = [[layer for stage in stages[number:] for layer in stage] for number in range(1, len(stages) + 1)]
    parts = enumerate(zip(stages, later, strict=True), 1)
    return [_block(f"stage {number}", "maps", stage, _passed_on(stage, after)) for number, (stage, after) in parts]


def _passed_on(stage: "Layers", later: "Layers") -> "keras.Layer":
    """Return the layer whose maps later stages read; of several, the one with the most channels."""
    tensors = [
        tensor for layer in later for tensor in (layer.input if isinstance(layer.input, list) else [layer.input])
    ]
    read = {id(tensor) for tensor in tensors}
    return max((layer for layer in stage if id(layer.output) in read), key=_channels, default=stage[-1])


def _channels(layer: "keras.Layer") -> int:
    return layer.output.shape[-1]


def _steps(layers: "Layers") -> list[Block]:
    """Return blocks of layers without maps; dropout and activations join the layer before them."""
    steps: list[list] = []
    for layer in layers:
        starts_block = layer.weights or type(layer).__name__ in TITLES
        if starts_block or not steps:
            steps.append([layer])
        else:
            steps[-1].append(layer)
    return [_step(step) for step in steps]


def _step(layers: "Layers") -> Block:
    first = layers[0]
    shape = first.output.shape
    kind = "classes" if first.name == "classes" else {3: "tokens", 4: "maps"}.get(len(shape), "features")
    title = "classes" if kind == "classes" else TITLES.get(type(first).__name__, type(first).__name__.lower())
    if hasattr(first, "encoder_layers"):
        title = f"{len(first.encoder_layers)} transformer blocks"
    return _block(title, kind, layers, first)


def _block(title: str, kind: str, layers: "Layers", last: "keras.Layer") -> Block:
    parameters = sum(layer.count_params() for layer in layers)
    return Block(
        title, kind, _summary(layers), tuple(last.output.shape[1:]), parameters, sum(map(layer_multiply_adds, layers))
    )


def _summary(layers: "Layers") -> str:
    """Count layers by kind, nested ones included, and list the most common; kinds with multiply-adds come first."""
    flat = list(_flat(layers))
    counts = Counter(_kind(layer) for layer in flat)
    costly = {_kind(layer) for layer in flat if layer_multiply_adds(layer)}
    kinds = sorted(counts, key=lambda kind: (kind not in costly, -counts[kind]))
    shown = [f"{counts[kind]} {kind}" if counts[kind] > 1 else kind for kind in kinds[:KINDS_SHOWN]]
    return ", ".join([*shown, *(["…"] if len(kinds) > KINDS_SHOWN else [])])


def _flat(layers: "Layers"):
    for layer in layers:
        yield from _flat(layer.layers) if hasattr(layer, "layers") else [layer]


def _kind(layer: "keras.Layer") -> str:
    kind = type(layer).__name__
    if kind == "Dense" and layer.name == "classes":
        return layer.activation.__name__
    if kind in ("Conv2D", "DepthwiseConv2D", "SeparableConv2D"):
        return f"{kind} {'×'.join(map(str, layer.kernel_size))}"
    return kind
