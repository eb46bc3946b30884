"""The pinned starting weights of a backbone, read into networks for images of any side."""

import keras

from bonexray.backbones.encoder import build_body
from bonexray.data.paths import weights_path
from bonexray.registry import BACKBONES, builder_of


def load_starting_weights(body: keras.Model, name: str) -> None:
    """Load the weights that the features stage pinned.

    Args:
        body: the backbone, for images of any side.
        name: a key of `BACKBONES`.
    """
    stored_px = BACKBONES[name].stored_px
    if BACKBONES[name].multiple_of == 1 or body.input_shape[1] == stored_px:
        body.load_weights(weights_path(name))
        return
    stored = build_body(name, stored_px)
    stored.load_weights(weights_path(name))
    builder_of(name).copy_weights(stored, body)
