"""The starting weights of a backbone: seeded random, its publisher's ImageNet weights, or a file of one's own."""

import logging
from pathlib import Path

import keras

from bonexray.config import Weights
from bonexray.errors import BonexrayError
from bonexray.models.backbones import TORCH_STD, build_body
from bonexray.models.published import origin, published_file
from bonexray.models.registry import BACKBONES

log = logging.getLogger("bonexray")


def weights_path(name: str) -> Path:
    """Where the weights stage leaves a backbone's weights."""
    return Path(f"weights/{name}.weights.h5")


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


def load_starting_weights(body: keras.Model, name: str) -> None:
    """Read what the weights stage left into a backbone for images of any side."""
    stored_px = BACKBONES[name].stored_px
    if BACKBONES[name].multiple_of == 1 or body.input_shape[1] == stored_px:
        body.load_weights(weights_path(name))
        return
    from bonexray.models.hub import copy_weights

    stored = build_body(name, stored_px)
    stored.load_weights(weights_path(name))
    copy_weights(stored, body)


def _load(body: keras.Model, name: str, path: Path) -> None:
    try:
        body.load_weights(path)
    except (ValueError, OSError, KeyError) as error:
        reason = " ".join(str(error).split())[:200]
        raise BonexrayError(
            str(path),
            expected=f"weights of {BACKBONES[name].builder} without top",
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
