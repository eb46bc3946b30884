"""The starting weights of a backbone: seeded random, Keras's published ones, or a file of one's own."""

import os
from pathlib import Path
from urllib.parse import urlparse

import keras

from bonexray.config import Weights
from bonexray.errors import BonexrayError
from bonexray.models.backbones import build_body
from bonexray.models.registry import BACKBONES


def weights_path(name: str) -> Path:
    """Where the weights stage leaves a backbone's weights."""
    return Path(f"weights/{name}.weights.h5")


def starting_body(name: str, settings: Weights) -> keras.Model:
    """A backbone with its starting weights.

    Args:
        name: a key of `BACKBONES`.
        settings: source, files of one's own, and the seed of random weights.

    Raises:
        BonexrayError: the file cannot be read or downloaded, has another hash, or fits another network.
    """
    keras.utils.set_random_seed(settings.seed)
    body = build_body(name, BACKBONES[name].min_px)
    own = settings.files.get(name)
    if own is not None:
        _load(body, name, Path(own))
    elif settings.source == "imagenet":
        _load(body, name, _published_file(name))
    return body


def _published_file(name: str) -> Path:
    row = BACKBONES[name]
    file = Path(urlparse(row.weights_url).path).name
    folder = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser() / "models"  # where Keras looks first
    try:
        return Path(keras.utils.get_file(file, row.weights_url, cache_subdir="models", file_hash=row.weights_md5))
    except ValueError as error:  # Keras's word for a file whose hash is not the published one
        raise BonexrayError(
            f"weights of {name}", expected=f"a file with MD5 {row.weights_md5}", received="another file",
            do=f"delete {folder / file} and try again",
        ) from error  # fmt: skip
    except Exception as error:
        if not isinstance(error, OSError) and "URL fetch failure" not in str(error):
            raise
        raise BonexrayError(
            f"weights of {name}", expected=f"a download of {row.weights_url}", received="no answer",
            do=f"put {file} (MD5 {row.weights_md5 or 'not published'}) into {folder}/, name a file of your own in "
            f"weights.files.{name}, or set weights.source=random",
        ) from error  # fmt: skip


def _load(body: keras.Model, name: str, path: Path) -> None:
    try:
        body.load_weights(path)
    except (ValueError, OSError, KeyError) as error:
        reason = " ".join(str(error).split())[:200]
        raise BonexrayError(
            str(path), expected=f"weights of {BACKBONES[name].builder} without top", received=reason,
            do="give the file that belongs to this backbone",
        ) from None  # fmt: skip
