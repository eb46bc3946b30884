"""A network as the blocks that a diagram of it is drawn from."""

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
        title: what it is.
        kind: image, maps, tokens, features or classes.
        layers: what it is made of, in a line.
        shape: of what it gives, without the batch.
        parameters: of all its layers.
        multiply_adds: for one image.
    """

    title: str
    kind: str
    layers: str
    shape: tuple[int, ...]
    parameters: int
    multiply_adds: int


@dataclass(frozen=True)
class Diagram:
    """Blocks in the order of the flow: the image, then each backbone on its own, then what they share.

    Attributes:
        image: where all begins.
        branches: name of a backbone to its blocks; empty for a network without backbones.
        trunk: what follows, up to the classes.
    """

    image: Block
    branches: dict[str, list[Block]]
    trunk: list[Block]


def diagram_of(network: "keras.Model", name: str) -> Diagram:
    """The blocks of a model of the registry.

    Args:
        network: from image to classes.
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
    """Maps in stages of one side each, then a block for every layer that computes something or changes the shape."""
    layers = [layer for layer in layers if type(layer).__name__ != "InputLayer"]
    end = max((number for number, layer in enumerate(layers, 1) if _gives_maps(layer)), default=0)
    return [*_stages(layers[:end]), *_steps(layers[end:])]


def _gives_maps(layer: "keras.Layer") -> bool:
    return len(layer.output.shape) == 4 and type(layer).__name__ != "Reshape"  # tokens are reshaped to maps, once


def _stages(layers: "Layers") -> list[Block]:
    """A stage ends where no later layer gives maps as large: what squeezes them in passing is a part of it."""
    sides, largest = [], 0
    for layer in reversed(layers):
        if _gives_maps(layer) and type(layer).__name__ != "ZeroPadding2D":  # which makes room for what follows
            largest = max(largest, layer.output.shape[1])
        sides.append(largest)
    groups = groupby(zip(layers, reversed(sides), strict=True), key=lambda pair: pair[1])
    stages = [[layer for layer, _ in pairs] for _, pairs in groups]
    later = [[layer for stage in stages[number:] for layer in stage] for number in range(1, len(stages) + 1)]
    parts = enumerate(zip(stages, later, strict=True), 1)
    return [_block(f"stage {number}", "maps", stage, _passed_on(stage, after)) for number, (stage, after) in parts]


def _passed_on(stage: "Layers", later: "Layers") -> "keras.Layer":
    """The layer whose maps the later stages read; where they read several, the one with the most channels."""
    tensors = [
        tensor for layer in later for tensor in (layer.input if isinstance(layer.input, list) else [layer.input])
    ]
    read = {id(tensor) for tensor in tensors}
    return max((layer for layer in stage if id(layer.output) in read), key=_channels, default=stage[-1])


def _channels(layer: "keras.Layer") -> int:
    return layer.output.shape[-1]


def _steps(layers: "Layers") -> list[Block]:
    """Layers without maps; dropout and activations go with what they follow."""
    steps: list[list] = []
    for layer in layers:
        begins = layer.weights or type(layer).__name__ in TITLES
        if begins or not steps:
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
        title, kind, _listed(layers), tuple(last.output.shape[1:]), parameters, sum(map(layer_multiply_adds, layers))
    )


def _listed(layers: "Layers") -> str:
    """The commonest kinds of layer, those with a cost first, counted; layers within a layer are counted one by one."""
    flat = list(_flat(layers))
    counts = Counter(_named(layer) for layer in flat)
    costly = {_named(layer) for layer in flat if layer_multiply_adds(layer)}
    kinds = sorted(counts, key=lambda kind: (kind not in costly, -counts[kind]))
    shown = [f"{counts[kind]} {kind}" if counts[kind] > 1 else kind for kind in kinds[:KINDS_SHOWN]]
    return ", ".join([*shown, *(["…"] if len(kinds) > KINDS_SHOWN else [])])


def _flat(layers: "Layers"):
    for layer in layers:
        yield from _flat(layer.layers) if hasattr(layer, "layers") else [layer]


def _named(layer: "keras.Layer") -> str:
    kind = type(layer).__name__
    if kind == "Dense" and layer.name == "classes":
        return layer.activation.__name__
    if kind in ("Conv2D", "DepthwiseConv2D", "SeparableConv2D"):
        return f"{kind} {'×'.join(map(str, layer.kernel_size))}"
    return kind
