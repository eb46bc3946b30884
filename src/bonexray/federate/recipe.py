"""What all sites of a federation must do alike: the recipe of a model, in full, for them to compare."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import h5py

from bonexray.base.errors import BonexrayError
from bonexray.data.features_card import read_features_card
from bonexray.data.manifest import read_classes
from bonexray.data.paths import weights_path
from bonexray.study import Settings
from bonexray.train.linear import is_linear
from bonexray.train.settings import ModelRow

FILTER = ("method", "options", "sigma", "working_px")  # what changes the filtered images
HEAD = ("standardize", "output", "class_weights")


def recipe_of(settings: Settings, name: str) -> dict[str, object]:
    """Return the recipe of a model as the study in the working directory has it.

    Args:
        settings: of the study.
        name: of the model.

    Returns:
        model, classes, img_px, backbones (name to the digest of its weights), denoise, prepare and head.

    Raises:
        BonexrayError: the model cannot be trained across sites, or its features are missing.
    """
    row = federated_row(settings, name)
    cards = [read_features_card(folder) for folder in row.features]
    return {
        "model": name,
        "classes": read_classes(),
        "img_px": cards[0]["img_px"],
        "backbones": {card["backbone"]: weights_digest(weights_path(card["backbone"])) for card in cards},
        "denoise": {key: getattr(settings.denoise, key) for key in FILTER},
        "prepare": settings.prepare.model_dump(),
        "head": {key: getattr(settings.train, key) for key in HEAD},
    }


def federated_row(settings: Settings, name: str) -> ModelRow:
    """Return a model's row of the settings, if the model can be trained across sites.

    Raises:
        BonexrayError: it is unknown, not a linear head on frozen backbones, or its features are missing.
    """
    heads = [key for key, row in settings.models.items() if is_linear(row, settings.train) and row.features]
    if name not in heads:
        expected = f"a linear head on frozen backbones ({', '.join(heads) or 'the study has none'})"
        received = "another model" if name in settings.models else "no such model in params.yaml"
        raise BonexrayError(f"--model {name}", expected=expected, received=received, do="name another model")
    if settings.train.output != "softmax":
        raise BonexrayError(
            "train.output", expected="softmax", received=settings.train.output, do="bonexray use train.output=softmax"
        )
    row = settings.models[name]
    for folder in row.features:
        if not (folder / "features.json").is_file():
            do = f"run `dvc repro features@{folder.name}`"
            raise BonexrayError(str(folder), expected="features of all images", received="no such files", do=do)
        if not (path := weights_path(folder.name)).is_file():
            do = f"run `dvc repro features@{folder.name}`"
            raise BonexrayError(str(path), expected="the weights of the features", received="no such file", do=do)
    return row


def weights_digest(path: Path) -> str:
    """Return the SHA-256 of all arrays in a weights file of Keras, whatever else is in it.

    The file itself has other bytes with another version of HDF5, or when its network is not the first of its process.
    """
    arrays: dict[str, h5py.Dataset] = {}
    found = hashlib.sha256()
    with h5py.File(path) as file:
        file.visititems(lambda name, item: arrays.update({name: item}) if isinstance(item, h5py.Dataset) else None)
        for name, array in sorted(arrays.items()):
            found.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
            found.update(array[()].tobytes())
    return found.hexdigest()


def as_text(recipe: Mapping[str, object]) -> str:
    """Return a recipe as one line of JSON, the same for equal recipes."""
    return json.dumps(recipe, sort_keys=True)


def require_same_recipe(own: Mapping[str, object], text: str) -> None:
    """Refuse to train by another recipe than one's own.

    Args:
        own: the recipe of this site.
        text: that of the server, from `as_text`.

    Raises:
        BonexrayError: it names the first difference.
    """
    theirs = json.loads(text)
    for key, value in own.items():
        if theirs.get(key) != json.loads(json.dumps(value)):
            raise BonexrayError(
                f"{key} of the federation",
                expected=f"{value}, as here",
                received=theirs.get(key),
                do="agree on one with the other sites, and run `dvc repro` where it changes",
            )
