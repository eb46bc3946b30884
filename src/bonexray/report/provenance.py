"""Versions and hashes of a study, from the files that the report depends on.

The report leaves out commit, date and host: they are not dependencies, and would change the page of an unchanged study.
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
    """Versions and hashes of a study.

    Attributes:
        versions: package to its pinned version.
        hashes: pairs of file and SHA-256, sorted.
    """

    versions: dict[str, str]
    hashes: tuple[tuple[str, str], ...]


def provenance(cards: Mapping[str, Mapping], root: Path | str = ".") -> Provenance:
    """Return the pinned versions and the hashes in the models' cards.

    Args:
        cards: model to the content of its models/<model>/model.json.
        root: the study's folder, with requirements.txt.
    """
    hashes = {file: value for card in cards.values() for file, value in _hashes(card)}
    return Provenance(pinned_versions(Path(root)), tuple(sorted(hashes.items())))


def pinned_versions(root: Path) -> dict[str, str]:
    """Return the pins in requirements.txt, or those of the installed package if the folder lacks that file."""
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
