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
    if not _embeds_positions(name) or backbone.input_shape[1] == BACKBONES[name].stored_px:
        backbone.load_weights(weights_path(name))
        return
    stored = build_backbone(name, BACKBONES[name].stored_px)
    stored.load_weights(weights_path(name))
    builder_of(name).copy_weights(stored, backbone)


def stored_side(name: str, img_px: int) -> int:
    """Return the side of the images that a backbone's stored weights are for; `img_px` if they fit any side."""
    return BACKBONES[name].stored_px if _embeds_positions(name) else img_px


def resized(stored: keras.Model, name: str, img_px: int) -> keras.Model:
    """Return a backbone with the stored weights for images of side `img_px`; `stored` if it already has that side.

    Args:
        stored: network with the weights as they are stored.
        name: its key of `BACKBONES`.
        img_px: side of the images.
    """
    if stored.input_shape[1] == img_px:
        return stored
    backbone = build_backbone(name, img_px)
    builder_of(name).copy_weights(stored, backbone)
    return backbone


def _embeds_positions(name: str) -> bool:
    return BACKBONES[name].multiple_of > 1
