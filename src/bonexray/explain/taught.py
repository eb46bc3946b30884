"""The map of a model that was taught where to look."""

from functools import lru_cache

import keras
import numpy as np

from bonexray.registry import model_row


def taught_maps(network: keras.Model, name: str, images: np.ndarray) -> np.ndarray:
    """Return the evidence of each pixel for a finding, whatever the class.

    Args:
        network: from image to classes, of a model with a locator.
        name: a key of `REGISTRY`.
        images: float (images, px, px, 1) in [0, 1].

    Returns:
        float64 (images, px, px) in [0, 1].
    """
    evidence = _locator(network, model_row(name).locator)(images, training=False)
    return np.asarray(keras.ops.convert_to_numpy(evidence), np.float64)[..., 0]


@lru_cache(maxsize=1)
def _locator(network: keras.Model, layer: str) -> keras.Model:
    return keras.Model(network.input, network.get_layer(layer).output)
