"""Coded concepts of an answer: SNOMED CT and DICOM where they have one, else the private scheme 99BONEXRAY."""

from collections.abc import Sequence
from hashlib import sha256

from highdicom.coding_schemes import CodingSchemeIdentificationItem
from highdicom.sr import CodedConcept

SCHEME, SCHEME_NAME = "99BONEXRAY", "Concepts of bonexray"  # 99 marks a private scheme, DICOM Part 16, 8.2
MEANING_CHARACTERS = 64  # of a Code Meaning, DICOM Part 5, 6.2 (LO)
_SNOMED = {  # by the name of a class, in lower case
    "osteoporosis": ("64859006", "Osteoporosis"),
    "osteopenia": ("312894000", "Osteopenia"),
    "osteoarthritis": ("396275006", "Osteoarthritis"),
    "fracture": ("125605004", "Fracture of bone"),
    "normal": ("17621005", "Normal"),
    "abnormal": ("263654008", "Abnormal"),
}


def shortened(text: str, characters: int) -> str:
    """Return a text of at most so many characters."""
    return text if len(text) <= characters else f"{text[: characters - 1]}…"


def private(value: str, meaning: str) -> CodedConcept:
    """Return a concept of the private scheme; a long meaning is shortened.

    Args:
        value: at most 16 characters.
        meaning: what viewers show.
    """
    return CodedConcept(value, SCHEME, shortened(meaning, MEANING_CHARACTERS))


PREDICTED = private("PREDICTED", "Most probable class, by the model's own probabilities")
MEMBER = private("SET_MEMBER", "Class in the prediction set")
NO_MEMBER = private("SET_EMPTY", "No class is probable enough")
PROMISED = private("SET_PROMISED", "Share of patients whose true class is to be in the set")
POSITIVE = private("POINT_OWN", "Probability of the positive classes, the model's own")
OWN = private("OWN", "The model's own, not calibrated")
CALIBRATED = private("CALIBRATED", "Calibrated on validation")


def scheme() -> CodingSchemeIdentificationItem:
    """Return the description of the private scheme that a document carries."""
    return CodingSchemeIdentificationItem(SCHEME, name=SCHEME_NAME, responsible_organization="bonexray")


def class_concept(name: str) -> CodedConcept:
    """Return the concept of a class."""
    if name.lower() in _SNOMED:
        value, meaning = _SNOMED[name.lower()]
        return CodedConcept(value, "SCT", meaning)
    return private(f"C_{_short_hash(name)}", name)


def probability_of(name: str) -> CodedConcept:
    """Return the concept of a class's probability."""
    return private(f"P_{_short_hash(name)}", f"Probability of {name}")


def point_of(positive: Sequence[str]) -> CodedConcept:
    """Return the concept of an answer at the operating point for these classes."""
    return private(f"POINT_{_short_hash(*positive)}", f"At the operating point for {' or '.join(positive)}")


def _short_hash(*names: str) -> str:
    return sha256("\0".join(names).encode()).hexdigest()[:10]
