"""Who answers, and the identifiers of an answer, which are the same whenever the answer is."""

import json
from dataclasses import dataclass
from uuid import UUID, uuid5

from pydicom.dataset import Dataset

from bonexray.registry import model_title
from bonexray.serving.bundle import BundleCard, bundle_versions
from bonexray.serving.facts import StudyFacts

_NAMESPACE = UUID("531e08ec-80c4-4cab-a198-96b4e1ee34d1")  # of all identifiers made here; never change it
_LARGEST_NUMBER = 10**6


def uid_of(*parts: str) -> str:
    """Return a UID that depends on the parts alone: a name-based UUID (RFC 9562, version 5) below 2.25, as in DICOM
    Part 5, B.2.
    """
    return f"2.25.{uuid5(_NAMESPACE, json.dumps(parts)).int}"


def series_number(source: Dataset, place: int) -> int:
    """Return the number of a series of answers, so that viewers list it after the X-ray's own series.

    Args:
        source: what `read_source` returns.
        place: 1 for reports, 2 for secondary captures.
    """
    return min(source.SeriesNumber, _LARGEST_NUMBER) * 100 + place


@dataclass(frozen=True)
class Author:
    """The model that answers, as DICOM identifies it.

    Attributes:
        name: such as `vgg16`.
        title: such as VGG16.
        fingerprint: of the training.
        version: of bonexray.
        parameters: what decides the answer besides the weights, one line each.
    """

    name: str
    title: str
    fingerprint: str
    version: str
    parameters: tuple[str, ...]

    @property
    def series_description(self) -> str:
        """Return what viewers list beside the patient's own series; it fits into 64 characters."""
        return f"bonexray {self.name}"[:30].rstrip() + ": research, not for diagnosis"


def author_of(card: BundleCard, facts: StudyFacts | None) -> Author:
    """Return the author of a model's answers."""
    return Author(
        name=card.model,
        title=model_title(card.model),
        fingerprint=card.fingerprint,
        version=bundle_versions().get("bonexray", "unknown"),
        parameters=tuple(_parameters(card, facts)),
    )


def _parameters(card: BundleCard, facts: StudyFacts | None) -> list[str]:
    lines = [
        f"fingerprint of the training: {card.fingerprint}",
        f"filter {card.denoise.method}, {card.img_px} x {card.img_px} px, mode {card.mode}",
    ]
    if facts:
        simulated = ", which is simulated" if facts.simulated else ""
        lines.append(f"trained on the dataset {facts.dataset}{simulated}")
        lines.append(f"temperature of the calibration: {facts.temperature:.4g}")
    if card.leak_suspect:
        lines.append("copies or patients may be on both sides of the split")
    return lines
