"""What a study's numbers come from: versions and hashes, from the files that the report depends on and nothing else.

A commit, a date or a host is no dependency of the report: it would make another page of the same study.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

REQUIREMENTS = "requirements.txt"
PINNED = re.compile(r"([\w.-]+)(?:\[[\w,-]+\])?==([\w.]+)")


@dataclass(frozen=True)
class Provenance:
    """What a study was made of.

    Attributes:
        versions: of the packages that the study pins, by name.
        hashes: what, and its SHA-256.
    """

    versions: dict[str, str]
    hashes: tuple[tuple[str, str], ...]


def provenance(cards: Mapping[str, Mapping], root: Path | str = ".") -> Provenance:
    """Return the versions that are pinned and the hashes in the models' cards.

    Args:
        cards: model to its card, models/<model>/model.json.
        root: the study's folder.
    """
    hashes = {what: value for card in cards.values() for what, value in _hashes(card)}
    return Provenance(pinned_versions(Path(root)), tuple(sorted(hashes.items())))


def pinned_versions(root: Path) -> dict[str, str]:
    """Return the pins of requirements.txt, or those of the installed package where the folder has no such file."""
    file = root / REQUIREMENTS
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else _required()
    matches = [PINNED.match(line) for line in lines]
    return {match[1]: match[2] for match in matches if match}


def _required() -> list[str]:
    try:
        return [line for line in requires("bonexray") or [] if "extra ==" not in line]
    except PackageNotFoundError:
        return []


def _hashes(card: Mapping) -> Iterator[tuple[str, str]]:
    yield "data/split/manifest.csv", card["manifest_sha256"]
    yield from card["inputs_sha256"].items()
    for backbone, value in card["backbones"].items():
        yield f"weights/{backbone}.weights.h5", value
    yield f"models/{card['model']} (fingerprint of its training)", card["fingerprint"]
