"""A network cut at its last maps: what comes below them, from the image, and what comes above, to the classes."""

from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np

from bonexray.backbones.encoder import to_convention
from bonexray.networks.heads import STANDARDIZE
from bonexray.networks.trainable import HEAD, backbone_of
from bonexray.registry import BACKBONES, model_row

CLASSES = "classes"
PASSES_OFFSETS = {"InputLayer", "MaxPooling2D"}  # an offset a channel before them is the same offset behind them


@dataclass(frozen=True)
class Halves:
    """A network in two parts that share its weights.

    Attributes:
        below: images (batch, px, px, 1) in [0, 1] to the last maps, one tensor (batch, rows, columns, channels) a
            backbone.
        above: those maps to what the layer of classes sees.
        classes: that layer, dense with a softmax, or with a sigmoid for the second of two classes.
        zero: what each channel of the maps is measured from, float (channels,) a backbone: what a head that
            standardises the maps' averages subtracts from them, else 0.
    """

    below: Callable[[object], list]
    above: keras.Model
    classes: keras.layers.Dense
    zero: list[np.ndarray]

    def logits(self, maps: list):
        """What the layer of classes says before its softmax or sigmoid, (batch, its units)."""
        seen = self.above(maps if len(maps) > 1 else maps[0], training=False)
        return keras.ops.matmul(seen, self.classes.kernel) + self.classes.bias

    def probabilities(self, maps: list):
        """What the network answers, (batch, its units)."""
        return self.classes.activation(self.logits(maps))

    @property
    def upper_weights(self) -> list:
        """The weights above the maps."""
        return [*self.above.weights, *self.classes.weights]


def halve(network: keras.Model, name: str) -> Halves:
    """Cut a model of the registry at the layers that its rows name: the last ones in which there are places.

    In ViT-Tiny these are the patches' tokens behind the last normalisation, the class token left out. Their average
    is the feature, so that each place's share in a class's score is theirs exactly; what stands before that
    normalisation is joined to the score by a division that differs from place to place.

    Args:
        network: from image to classes, as `trained_network` gives it.
        name: a key of `REGISTRY`.
    """
    row = model_row(name)
    if not row.backbones:
        return halve_at(network, row.heat_map)
    lower, entries, features, passing = [], [], [], []
    for backbone in row.backbones:
        body = backbone_of(network, backbone)
        maps = body.get_layer(BACKBONES[backbone].heat_map).output
        lower.append((BACKBONES[backbone].convention, keras.Model(body.input, maps)))
        entries.append(keras.Input(maps.shape[1:], name=f"{backbone}_maps"))
        tail = [] if maps is body.output else [keras.Model(maps, body.output)]
        last = tail[0](entries[-1]) if tail else entries[-1]
        passing.append(all(type(layer).__name__ in PASSES_OFFSETS for part in tail for layer in part.layers))
        features.append(keras.layers.GlobalAveragePooling2D()(last) if len(last.shape) == 4 else last)
    head = network.get_layer(HEAD)
    classes = head.get_layer(CLASSES)
    neck = keras.Model(head.input, classes.input)(features if len(features) > 1 else features[0])

    def below(images) -> list:
        return [part(to_convention(images, convention), training=False) for convention, part in lower]

    zero = _subtracted(head, [entry.shape[-1] for entry in entries], passing)
    return Halves(below, keras.Model(entries if len(entries) > 1 else entries[0], neck), classes, zero)


def halve_at(network: keras.Model, layer: str) -> Halves:
    """Cut a network without backbones at one of its layers; its last layer, `classes`, is dense."""
    maps, classes = network.get_layer(layer).output, network.get_layer(CLASSES)
    lower = keras.Model(network.input, maps)
    above, zero = keras.Model(maps, classes.input), [np.zeros(maps.shape[-1], np.float32)]
    return Halves(lambda images: [lower(images, training=False)], above, classes, zero)


def _subtracted(head: keras.Model, widths: list[int], passing: list[bool]) -> list[np.ndarray]:
    """What a head subtracts from each backbone's features, where these are averages of its maps and nothing more."""
    mean = np.zeros(sum(widths), np.float32)
    if STANDARDIZE in {layer.name for layer in head.layers}:
        mean = keras.ops.convert_to_numpy(head.get_layer(STANDARDIZE).mean).copy()
    parts = np.split(mean, np.cumsum(widths)[:-1])
    return [part if passes else np.zeros_like(part) for part, passes in zip(parts, passing, strict=True)]
