"""The starting weights of a backbone: seeded random, its publisher's ImageNet weights, or a file of one's own."""

import logging
from pathlib import Path

import keras

from bonexray.backbones.encoder import TORCH_STD, build_body
from bonexray.errors import BonexrayError
from bonexray.features.published import origin, published_file
from bonexray.features.settings import Weights
from bonexray.registry import BACKBONES

log = logging.getLogger("bonexray")


def starting_body(name: str, settings: Weights) -> keras.Model:
    """A backbone with its starting weights.

    Args:
        name: a key of `BACKBONES`.
        settings: source, mirror, files of one's own, and the seed of random weights.

    Raises:
        BonexrayError: the file cannot be read or downloaded, has another hash, or fits another network.
    """
    keras.utils.set_random_seed(settings.seed)
    body = build_body(name, BACKBONES[name].stored_px)
    start = origin(name, settings)
    if start == "own":
        _load(body, name, Path(settings.files[name]))
    elif start == "imagenet":
        _load(body, name, published_file(name, settings.mirror))
    elif settings.source == "imagenet":
        log.warning("nobody publishes ImageNet weights of %s: it starts from random ones", name)
    return body


def _load(body: keras.Model, name: str, path: Path) -> None:
    try:
        body.load_weights(path)
    except (ValueError, OSError, KeyError) as error:
        reason = " ".join(str(error).split())[:200]
        raise BonexrayError(
            str(path),
            expected=f"weights of {name} without top",
            received=reason,
            do="give the file that belongs to this backbone",
        ) from None
    if BACKBONES[name].module == "efficientnet":
        _rescale_as_published(body)


def _rescale_as_published(body: keras.Model) -> None:
    """Make EfficientNet's input as its ImageNet weights know it.

    They were trained on (x - mean) / variance, and Keras adds a division by the deviation where it loads them
    itself. Here the same factor goes into the variance that the network divides by the root of.
    """
    layer = next(layer for layer in body.layers if isinstance(layer, keras.layers.Normalization))
    variance = keras.ops.convert_to_numpy(layer.adapt_variance)
    deviation = keras.ops.convert_to_numpy(keras.ops.cast(TORCH_STD, "float32"))
    if abs(variance - deviation**2).max() < 1e-4:  # otherwise these are no ImageNet statistics
        layer.adapt_variance.assign(variance * deviation)
        layer.finalize_state()
