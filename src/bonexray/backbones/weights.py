"""Loading of the starting weights that the features stage wrote, for images of any side."""

import keras

from bonexray.backbones.encoder import build_backbone
from bonexray.data.paths import weights_path
from bonexray.registry import BACKBONES, builder_of


def load_starting_weights(backbone: keras.Model, name: str) -> None:
    """Load the starting weights of a backbone from its file in weights/.

    Args:
        backbone: network that gets the weights, for images of any side.
        name: a key of `BACKBONES`.
    """
    stored_px = BACKBONES[name].stored_px
    if BACKBONES[name].multiple_of == 1 or backbone.input_shape[1] == stored_px:
        backbone.load_weights(weights_path(name))
        return
    stored = build_backbone(name, stored_px)
    stored.load_weights(weights_path(name))
    builder_of(name).copy_weights(stored, backbone)
