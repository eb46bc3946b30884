"""Accuracies that five published systems reported, with the intervals that their numbers of test images imply."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML


@dataclass(frozen=True)
class PublishedSystem:
    """A published system and its reported accuracies.

    Attributes:
        name: short description of the system.
        data: description of its test data.
        n: number of test images; None if unknown here.
        accuracies: pairs of network and accuracy; the network has its name in the registry, if any.
        caveat: warning about the use of these numbers.
    """

    name: str
    data: str
    n: int | None
    accuracies: tuple[tuple[str, float], ...]
    caveat: str


def _read_source(source: dict) -> PublishedSystem:
    return PublishedSystem(**source | {"accuracies": tuple(source["accuracies"].items())})


SOURCES = tuple(map(_read_source, YAML(typ="safe").load(Path(__file__).with_name("sources.yaml"))))


def reported() -> Iterator[tuple[PublishedSystem, str, float, tuple[float, float] | None]]:
    """Yield source, network, accuracy and the 95 % interval that `n` implies; None if `n` is unknown."""
    for source in SOURCES:
        for network, accuracy in source.accuracies:
            yield source, network, accuracy, wilson(accuracy, source.n) if source.n else None


def wilson(share: float, n: int, z: float = 1.959964) -> tuple[float, float]:
    """Return Wilson's score interval of a share of n independent images (Wilson 1927); 95 % by default."""
    centre, margin = share + z * z / (2 * n), z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return (centre - margin) / (1 + z * z / n), (centre + margin) / (1 + z * z / n)
