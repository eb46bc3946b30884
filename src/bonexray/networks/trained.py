"""Trained models as networks from images to class probabilities."""

from collections.abc import Mapping
from pathlib import Path

import keras

from bonexray.backbones.weights import load_starting_weights
from bonexray.base.errors import BonexrayError
from bonexray.base.files import read_json
from bonexray.base.hashing import sha256_of
from bonexray.data.paths import MODEL_CARD, MODEL_WEIGHTS, weights_path
from bonexray.networks.settings import HeadSettings
from bonexray.networks.trainable import HEAD, backbone_of, build_trainable
from bonexray.registry import FINE_TUNE, FROZEN, model_row


def trained_network(folder: Path) -> keras.Model:
    """Rebuild a trained model from its folder.

    The folder of a model with frozen backbones holds only the weights of its head; those of the backbones are read
    from weights/.

    Args:
        folder: models/<name>, with model.json and model.weights.h5.

    Returns:
        Network from images (batch, img_px, img_px, 1) in [0, 1] to class probabilities (batch, classes), or (batch, 1)
        of a sigmoid.

    Raises:
        BonexrayError: the weights of a backbone have changed since the model was trained.
    """
    card = read_json(folder / MODEL_CARD)
    name, mode = card["model"], card["mode"]
    network = empty_network(
        name, mode, card["img_px"], len(card["classes"]), head_settings(card), card.get("conventions")
    )
    if mode != FROZEN:
        network.load_weights(folder / MODEL_WEIGHTS)
        return network
    for backbone in model_row(name).backbones:
        require_same_weights(name, backbone, card["backbones"][backbone])
        load_starting_weights(backbone_of(network, backbone), backbone)
    network.get_layer(HEAD).load_weights(folder / MODEL_WEIGHTS)
    return network


def empty_network(
    name: str,
    mode: str,
    img_px: int,
    classes: int,
    settings: HeadSettings,
    conventions: Mapping[str, str] | None = None,
) -> keras.Model:
    """Build the layers of a trained model from image to classes, without its weights; see `build_trainable`."""
    whole_mode = FINE_TUNE if mode == FROZEN else mode  # the same layers, but with the backbones
    return build_trainable(name, whole_mode, img_px, classes, settings, conventions=conventions)


def head_settings(card: Mapping[str, object]) -> HeadSettings:
    """Return the settings of a model's head from its card."""
    return HeadSettings(**{key: card["train"][key] for key in HeadSettings.model_fields})


def require_same_weights(name: str, backbone: str, trained_on: str) -> None:
    """Refuse a backbone's weights file that is missing, or is not the one that a model was trained on."""
    path = weights_path(backbone)
    if not path.is_file():
        do = f"run `dvc pull {path}` or `dvc repro features@{backbone}`"
        raise BonexrayError(str(path), expected=f"the weights of {name}", received="no such file", do=do)
    digest = sha256_of(path)
    if digest != trained_on:
        raise BonexrayError(
            str(path),
            expected=f"the weights that {name} was trained on, {trained_on[:12]}",
            received=digest[:12],
            do="run `dvc repro`",
        )
