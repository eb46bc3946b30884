"""Split a network at its last feature maps: one part from image to maps, one from maps to classes."""

from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np

from bonexray.backbones.encoder import CONVENTION, GRAY_TO_RGB
from bonexray.networks.heads import CLASSES, STANDARDIZE
from bonexray.networks.ordinal import Ordinal, by_class
from bonexray.networks.trainable import HEAD, backbone_of
from bonexray.registry import BACKBONES, model_row

KEEPS_OFFSETS = {"InputLayer", "MaxPooling2D"}  # layers that a constant per channel passes through unchanged


@dataclass(frozen=True)
class SplitNetwork:
    """A network split at its last feature maps into two parts that share its weights.

    Attributes:
        feature_maps: a function from images (batch, px, px, 1) in [0, 1] to the last feature maps, one tensor (batch,
            rows, columns, channels) per backbone.
        upper: a network from those maps to the inputs of the class layer.
        class_layer: a dense layer with a softmax, or with a sigmoid for the second of two classes, or an ordinal layer.
        offsets: float (channels,) per backbone: the mean that a standardising head subtracts from each channel's
            average, else 0.
    """

    feature_maps: Callable[[object], list]
    upper: keras.Model
    class_layer: keras.layers.Dense | Ordinal
    offsets: list[np.ndarray]

    def logits(self, maps: list):
        """Return the class layer's values before its activation, (batch, units)."""
        features = self.upper(maps if len(maps) > 1 else maps[0], training=False)
        return keras.ops.matmul(features, self.class_layer.kernel) + self.class_layer.bias

    def class_logits(self, maps: list):
        """Return a logit for each class, (batch, classes), or (batch, 1) of a sigmoid; see `by_class` for grades."""
        logits = self.logits(maps)
        return by_class(logits) if isinstance(self.class_layer, Ordinal) else logits

    def probabilities(self, maps: list):
        """Return the network's outputs, (batch, units)."""
        return self.class_layer.activation(self.logits(maps))

    @property
    def upper_weights(self) -> list:
        """Return the weights between the feature maps and the outputs."""
        return [*self.upper.weights, *self.class_layer.weights]


def split_network(network: keras.Model, name: str) -> SplitNetwork:
    """Split a model of the registry at the layers that its rows name, the last ones with a spatial layout.

    In ViT-Tiny these are the patch tokens after the last normalisation, without the class token. Their average is the
    feature, so each patch contributes to a class score exactly its own share. Before that normalisation it would not,
    because every patch is divided by a different number.

    Args:
        network: a network from image to classes, as `trained_network` returns it.
        name: a key of `REGISTRY`.
    """
    row = model_row(name)
    if not row.backbones:
        return split_at_layer(network, row.heat_map)
    lower, entries, features, keeps_offsets = [], [], [], []
    for backbone in row.backbones:
        body = backbone_of(network, backbone)
        maps = body.get_layer(BACKBONES[backbone].heat_map).output
        lower.append((network.get_layer(f"{backbone}_encoder"), keras.Model(body.input, maps)))
        entries.append(keras.Input(maps.shape[1:], name=f"{backbone}_maps"))
        tail = [] if maps is body.output else [keras.Model(maps, body.output)]
        last = tail[0](entries[-1]) if tail else entries[-1]
        keeps_offsets.append(all(type(layer).__name__ in KEEPS_OFFSETS for part in tail for layer in part.layers))
        features.append(keras.layers.GlobalAveragePooling2D()(last) if len(last.shape) == 4 else last)
    head = network.get_layer(HEAD)
    classes = head.get_layer(CLASSES)
    neck = keras.Model(head.input, classes.input)(features if len(features) > 1 else features[0])

    def feature_maps(images) -> list:
        return [part(_converted(images, encoder), training=False) for encoder, part in lower]

    offsets = _subtracted_means(head, [entry.shape[-1] for entry in entries], keeps_offsets)
    upper = keras.Model(entries if len(entries) > 1 else entries[0], neck)
    return SplitNetwork(feature_maps, upper, classes, offsets)


def _converted(images, encoder: keras.Model):
    """Return images (batch, px, px, 1) as an encoder gives them to its backbone, (batch, px, px, 3)."""
    return encoder.get_layer(CONVENTION)(encoder.get_layer(GRAY_TO_RGB)([images, images, images]))


def split_at_layer(network: keras.Model, layer: str) -> SplitNetwork:
    """Split a network without backbones at one of its layers; its last layer is `classes`."""
    maps, classes = network.get_layer(layer).output, network.get_layer(CLASSES)
    lower = keras.Model(network.input, maps)
    upper, offsets = keras.Model(maps, classes.input), [np.zeros(maps.shape[-1], np.float32)]
    return SplitNetwork(lambda images: [lower(images, training=False)], upper, classes, offsets)


def _subtracted_means(head: keras.Model, widths: list[int], keeps_offsets: list[bool]) -> list[np.ndarray]:
    """Return the means that a head subtracts from each backbone's features; 0 unless these are plain averages of maps."""
    mean = np.zeros(sum(widths), np.float32)
    if STANDARDIZE in {layer.name for layer in head.layers}:
        mean = keras.ops.convert_to_numpy(head.get_layer(STANDARDIZE).mean).copy()
    parts = np.split(mean, np.cumsum(widths)[:-1])
    return [part if keeps else np.zeros_like(part) for part, keeps in zip(parts, keeps_offsets, strict=True)]
