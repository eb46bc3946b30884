"""A complete model as a folder: weights, class map and everything that is done to an image, each file under its hash.

Nothing in it is code. What is read is JSON of known keys and numbers in HDF5, after every hash has been compared.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Literal

import keras
from pydantic import Field, ValidationError

from bonexray.config import Section
from bonexray.denoise.settings import Denoise
from bonexray.errors import BonexrayError
from bonexray.files import atomic_folder, read_json, write_json
from bonexray.hashing import digest, sha256_of
from bonexray.networks.trained import empty_network
from bonexray.prepare.settings import Prepare
from bonexray.train.settings import Train

CARD, WEIGHTS, PAGE = "bundle.json", "network.weights.h5", "card.md"
log = logging.getLogger("bonexray")
LIBRARIES = ("bonexray", "keras", "tensorflow", "numpy", "pillow", "pydicom", "scikit-image", "scipy", "bm3d")
DO = "get the folder from where it was made once more, or make it anew with `bonexray bundle`"


class BundleCard(Section):
    """`bundle.json`: what the model is, what is done to an image before it, and the hashes of the other files."""

    format: Literal[2]
    model: str
    mode: Literal["scratch", "frozen", "fine_tune", "full"]
    classes: Annotated[list[str], Field(min_length=2)]
    img_px: Annotated[int, Field(ge=1)]
    leak_suspect: bool
    fingerprint: str
    train: Train
    denoise: Denoise
    prepare: Prepare
    versions: dict[str, str]
    files: dict[str, str]

    @property
    def digest(self) -> str:
        """SHA-256 of everything in the card, and through the files' hashes of everything in the folder."""
        return digest(self.model_dump())


@dataclass(frozen=True)
class Bundle:
    """A model that answers without its study.

    Attributes:
        card: what it is; `files` is empty until it stands in a folder.
        network: image (batch, img_px, img_px, 1) in [0, 1] to class probabilities (batch, classes), or (batch, 1) of
            a sigmoid.
        page: the model card in Markdown, empty where the study has not drawn one.
    """

    card: BundleCard
    network: keras.Model
    page: str = ""


def write_bundle(bundle: Bundle, folder: Path) -> BundleCard:
    """Write a model as a folder that is there whole or not at all; the same model gives the same bytes.

    Args:
        bundle: the model.
        folder: what is in the way is replaced.

    Returns:
        The card as it was written, with the files' hashes.
    """
    with atomic_folder(folder) as partial:
        bundle.network.save_weights(partial / WEIGHTS)
        if bundle.page:
            (partial / PAGE).write_text(bundle.page, encoding="utf-8", newline="\n")
        files = {path.name: sha256_of(path) for path in sorted(partial.iterdir())}
        card = bundle.card.model_copy(update={"files": files})
        write_json(partial / CARD, {**card.model_dump(), "digest": card.digest})
    return card


def open_bundle(folder: Path) -> Bundle:
    """Read a model from its folder, after every file in it has been held against its hash.

    Args:
        folder: what `write_bundle` left.

    Raises:
        BonexrayError: a file is changed, missing, too many or a link out of the folder, or the card is none.
    """
    card = checked_card(folder)
    network = empty_network(card.model, card.mode, card.img_px, len(card.classes), card.train)
    try:
        network.load_weights(folder / WEIGHTS)
    except (ValueError, OSError, KeyError) as error:
        received = " ".join(str(error).split())[:200]
        raise BonexrayError(
            str(folder / WEIGHTS), expected=f"weights of {card.model}", received=received, do=DO
        ) from None
    _warn_of_other_versions(folder, card)
    page = (folder / PAGE).read_text(encoding="utf-8") if PAGE in card.files else ""
    return Bundle(card, network, page)


def checked_card(folder: Path) -> BundleCard:
    """The card of a bundle whose files are all as they were written.

    Raises:
        BonexrayError: they are not; see `open_bundle`.
    """
    card = _card(folder / CARD)
    present = {path.name for path in folder.iterdir()} - {CARD}
    for name, received in _differences(folder, card, present):
        raise BonexrayError(str(folder / name), expected="the files of the bundle's card", received=received, do=DO)
    return card


def bundle_versions() -> dict[str, str]:
    """The installed libraries that a model's answers depend on."""
    return dict(_versions())


def _card(path: Path) -> BundleCard:
    if path.is_symlink() or not path.is_file():
        received = "a link" if path.is_symlink() else "no such file"
        raise BonexrayError(str(path), expected="the card of a bundle", received=received, do=DO)
    try:
        content = read_json(path)
        stated = content.pop("digest", None)
        card = BundleCard.model_validate(content)
    except ValidationError as error:
        detail = error.errors()[0]
        received = f"{'.'.join(map(str, detail['loc']))}: {detail['msg']}"
        raise BonexrayError(str(path), expected="the card of a bundle", received=received, do=DO) from None
    except (ValueError, AttributeError, TypeError):  # no JSON, no UTF-8, or JSON of another shape
        raise BonexrayError(str(path), expected="the card of a bundle", received="no such JSON", do=DO) from None
    if stated != card.digest:
        raise BonexrayError(
            str(path), expected=f"a card with the digest {card.digest[:12]}", received=str(stated)[:12], do=DO
        )
    return card


def _differences(folder: Path, card: BundleCard, present: set[str]) -> Iterator[tuple[str, str]]:
    """Every name that is not as the card says, and what is wrong with it."""
    for name, expected in card.files.items():
        path = folder / name
        if name in ("", ".", "..") or Path(name).name != name or "\\" in name:
            yield name, "a path out of the folder"
        elif path.is_symlink():
            yield name, "a link, which may lead out of the folder"
        elif not path.is_file():
            yield name, "no such file"
        elif (found := sha256_of(path)) != expected:
            yield name, f"other content: SHA-256 {found[:12]} in place of {expected[:12]}"
    for name in sorted(present - set(card.files)):
        yield name, "a file too many"
    if WEIGHTS not in card.files:
        yield WEIGHTS, "a card that does not name it"


def _warn_of_other_versions(folder: Path, card: BundleCard) -> None:
    here = bundle_versions()
    other = [
        f"{name} {made} (here {here[name]})" for name, made in card.versions.items() if here.get(name, made) != made
    ]
    if other:
        log.warning("%s was made with %s: probabilities may differ a little", folder, ", ".join(other))


def _versions() -> Iterator[tuple[str, str]]:
    for name in LIBRARIES:
        try:
            yield name, version(name)
        except PackageNotFoundError:  # run from a checkout, or a filter's library that is not installed
            continue
