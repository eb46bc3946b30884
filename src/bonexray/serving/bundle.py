"""Bundles: a complete model in a folder, with weights, classes, preprocessing, and a hash of each file.

A bundle contains no code: only JSON with known keys and numbers in HDF5, read after all hashes have been compared.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Literal

import keras
from pydantic import Field, ValidationError

from bonexray.base.config import Section
from bonexray.base.errors import BonexrayError
from bonexray.base.files import atomic_folder, read_json, write_json
from bonexray.base.hashing import digest, sha256_of
from bonexray.denoise.settings import Denoise
from bonexray.networks.trained import empty_network
from bonexray.prepare.settings import Prepare
from bonexray.registry import Convention
from bonexray.serving.facts import StudyFacts
from bonexray.train.settings import Train

CARD, WEIGHTS, PAGE, FACTS = "bundle.json", "network.weights.h5", "card.md", "study.json"
log = logging.getLogger("bonexray")
LIBRARIES = ("bonexray", "keras", "tensorflow", "numpy", "pillow", "pydicom", "scikit-image", "scipy", "bm3d")
DO = "copy the folder again from its source, or write it again with `bonexray bundle`"


class BundleCard(Section):
    """`bundle.json`: the model, its preprocessing, and the hashes of the other files."""

    format: Literal[2]  # 1, of version 0.1.0, had the mode among the settings of training
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
    conventions: dict[str, Convention] = Field(default_factory=dict)
    files: dict[str, str]

    @property
    def digest(self) -> str:
        """Return the SHA-256 of the card, which covers all files through their hashes."""
        return digest(self.facts)

    @property
    def facts(self) -> dict[str, object]:
        """Return the content of `bundle.json` but its digest; `conventions` only if there are any."""
        return self.model_dump(exclude=None if self.conventions else {"conventions"})


@dataclass(frozen=True)
class Bundle:
    """A model that predicts without its study.

    Attributes:
        card: its description; `files` is empty until the bundle is written.
        network: image (batch, img_px, img_px, 1) in [0, 1] to class probabilities (batch, classes), or (batch, 1) with
            a sigmoid.
        page: the model card in Markdown, or an empty text if the study has none.
        facts: what the study knows of the model; None if its predictions were not there.
    """

    card: BundleCard
    network: keras.Model
    page: str = ""
    facts: StudyFacts | None = None


def write_bundle(bundle: Bundle, folder: Path) -> BundleCard:
    """Write a bundle, complete or not at all; the same model gives the same bytes.

    Args:
        bundle: the model.
        folder: the target; an existing one is replaced.

    Returns:
        The card with the hashes of the files.
    """
    with atomic_folder(folder) as partial:
        bundle.network.save_weights(partial / WEIGHTS)
        if bundle.page:
            (partial / PAGE).write_text(bundle.page, encoding="utf-8", newline="\n")
        if bundle.facts:
            write_json(partial / FACTS, bundle.facts.model_dump())
        files = {path.name: sha256_of(path) for path in sorted(partial.iterdir())}
        card = bundle.card.model_copy(update={"files": files})
        write_json(partial / CARD, {**card.facts, "digest": card.digest})
    return card


def open_bundle(folder: Path) -> Bundle:
    """Read a bundle after comparing every file with its hash.

    Args:
        folder: a folder that `write_bundle` wrote.

    Raises:
        BonexrayError: a file is changed, missing, a link or not in the card, or the card is unreadable.
    """
    card = checked_card(folder)
    network = empty_network(card.model, card.mode, card.img_px, len(card.classes), card.train, card.conventions)
    try:
        network.load_weights(folder / WEIGHTS)
    except (ValueError, OSError, KeyError) as error:
        received = " ".join(str(error).split())[:200]
        raise BonexrayError(
            str(folder / WEIGHTS), expected=f"weights of {card.model}", received=received, do=DO
        ) from None
    _warn_of_other_versions(folder, card)
    page = (folder / PAGE).read_text(encoding="utf-8") if PAGE in card.files else ""
    return Bundle(card, network, page, _facts(folder / FACTS) if FACTS in card.files else None)


def checked_card(folder: Path) -> BundleCard:
    """Return the card of a bundle after comparing every file with its hash.

    Raises:
        BonexrayError: the bundle was changed; see `open_bundle`.
    """
    card = _card(folder / CARD)
    present = {path.name for path in folder.iterdir()} - {CARD}
    for name, received in _differences(folder, card, present):
        raise BonexrayError(str(folder / name), expected="the files of the bundle's card", received=received, do=DO)
    return card


def bundle_versions() -> dict[str, str]:
    """Return the versions of the installed libraries that predictions depend on."""
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
    except (ValueError, AttributeError, TypeError):  # not JSON, not UTF-8, or JSON of another shape
        raise BonexrayError(str(path), expected="the card of a bundle", received="other content", do=DO) from None
    if stated != card.digest:
        raise BonexrayError(
            str(path), expected=f"a card with the digest {card.digest[:12]}", received=str(stated)[:12], do=DO
        )
    return card


def _facts(path: Path) -> StudyFacts:
    try:
        return StudyFacts.model_validate(read_json(path))
    except (ValidationError, ValueError):
        expected = "what the study knows of the model"
        raise BonexrayError(str(path), expected=expected, received="other content", do=DO) from None


def _differences(folder: Path, card: BundleCard, present: set[str]) -> Iterator[tuple[str, str]]:
    """Yield each file that differs from the card, and what is wrong with it."""
    for name, expected in card.files.items():
        path = folder / name
        if name in ("", ".", "..") or Path(name).name != name or "\\" in name:
            yield name, "a path outside the folder"
        elif path.is_symlink():
            yield name, "a link, which may lead outside the folder"
        elif not path.is_file():
            yield name, "no such file"
        elif (actual := sha256_of(path)) != expected:
            yield name, f"other content: SHA-256 {actual[:12]} instead of {expected[:12]}"
    for name in sorted(present - set(card.files)):
        yield name, "a file that the card does not name"
    if WEIGHTS not in card.files:
        yield WEIGHTS, "a card without it"


def _warn_of_other_versions(folder: Path, card: BundleCard) -> None:
    installed = bundle_versions()
    changes = [
        f"{name} {old} (here {installed[name]})"
        for name, old in card.versions.items()
        if installed.get(name, old) != old
    ]
    if changes:
        log.warning("%s was written with %s: probabilities may differ slightly", folder, ", ".join(changes))


def _versions() -> Iterator[tuple[str, str]]:
    for name in LIBRARIES:
        try:
            yield name, version(name)
        except PackageNotFoundError:  # a checkout that is not installed, or the library of a filter
            continue
