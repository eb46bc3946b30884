"""ImageNet weights as their publishers offer them: found in a mirror or downloaded, and held against their hash."""

import hashlib
import logging
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlparse

from bonexray.errors import BonexrayError
from bonexray.features.settings import Weights
from bonexray.files import read_json, write_json
from bonexray.hashing import sha256_of
from bonexray.registry import BACKBONES, HASH_KINDS, Published
from bonexray.repository import main_repository

log = logging.getLogger("bonexray")


def origin(name: str, settings: Weights) -> str:
    """Where a backbone's starting weights come from: `own`, `imagenet` or `random`."""
    if name in settings.files:
        return "own"
    return "imagenet" if settings.source == "imagenet" and BACKBONES[name].published else "random"


def pins_path() -> Path:
    """Where hashes are kept that no publisher gives: in the main repository, also when run in a copy of it."""
    return main_repository() / "weights" / "pins.json"


def published_file(name: str, mirror: str | None) -> Path:
    """A backbone's published weights, from a mirror or from their publisher, once their hash is the known one.

    Args:
        name: a key of `BACKBONES` with published weights.
        mirror: a folder, absolute or below the repository, or an address with the files under their publishers' names;
            None asks the publisher.

    Raises:
        BonexrayError: there is no such file, no answer, or its hash is another.
    """
    published = BACKBONES[name].published
    if mirror and not _is_address(mirror):
        path = in_mirror(name, mirror)
    else:
        path = _downloaded(name, published, f"{mirror.rstrip('/')}/{published.file}" if mirror else published.url)
    _require_hash(path, name, published)
    return path


def in_mirror(name: str, mirror: str) -> Path:
    """Where a backbone's weights lie in a folder.

    Raises:
        BonexrayError: they do not.
    """
    published = BACKBONES[name].published
    path = main_repository() / mirror / published.file
    if not path.is_file():
        raise BonexrayError(
            f"weights.mirror, {name}",
            expected=published.file,
            received=f"no such file in {mirror}",
            do=f"lay it there from {published.url}, or leave {name} out",
        )
    return path


def require_mirrored(name: str, settings: Weights) -> None:
    """Refuse a folder that lacks the weights it is to give; an address is asked when they are needed."""
    if settings.mirror and not _is_address(settings.mirror) and origin(name, settings) == "imagenet":
        in_mirror(name, settings.mirror)


def _is_address(mirror: str) -> bool:
    return urlparse(mirror).scheme in ("http", "https")


def _downloaded(name: str, published: Published, address: str) -> Path:
    try:
        if address.startswith("kaggle://"):
            import kagglehub  # by KerasHub, of whose weights Kaggle is the publisher

            handle, file = address.removeprefix("kaggle://").split("#")
            return Path(kagglehub.model_download(handle, file))
        import keras  # here, so that looking into a mirror imports no TensorFlow

        return Path(keras.utils.get_file(published.file.replace("/", "_"), address, cache_subdir="models"))
    except Exception as error:
        expected = isinstance(error, OSError | ValueError | HTTPException) or "URL fetch failure" in str(error)
        if not expected and type(error).__module__ != "kagglehub.exceptions":
            raise
        raise BonexrayError(
            f"weights of {name}",
            expected=f"a download of {address}",
            received=" ".join(str(error).split())[:120],
            do=f"lay {published.file} into a folder and set weights.mirror to it, name a file of your own in "
            f"weights.files.{name}, or set weights.source=random",
        ) from error


def _require_hash(path: Path, name: str, published: Published) -> None:
    """Compare with the publisher's hash; where there is none, pin the first file's and compare the next with it."""
    known = published.hash
    if known is None:
        pins = read_json(pins_path()) if pins_path().exists() else {}
        if published.file not in pins:
            pins[published.file] = sha256_of(path)
            write_json(pins_path(), pins)
            log.warning("%s has no published hash: pinned in weights/pins.json, which belongs in Git", published.file)
        known = pins[published.file]
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, HASH_KINDS[len(known)]).hexdigest()
    if found != known:
        raise BonexrayError(
            f"weights of {name}",
            expected=f"{HASH_KINDS[len(known)].upper()} {known}",
            received=f"{found} of {path}",
            do="delete this file and try again",
        )
