"""Judge the patient ID of a DICOM file: whether it is a placeholder, and the facts that one patient cannot change.

The values themselves leave this module only as keyed hashes; a placeholder is named by a word of the list here.
"""

import hmac
import re
from dataclasses import dataclass, field
from pathlib import Path

import pydicom

from bonexray.images.silence import quiet

EMPTY = "(empty)"
_WORDS = frozenset(
    [
        "anon",
        "anonym",
        "anonymous",
        "anonymus",
        "anonymised",
        "anonymized",
        "anonymouspatient",
        "anonpatient",
        "anonid",
        "anonymousid",
        "anonymize",
        "anonymise",
        "deid",
        "deidentified",
        "deidentify",
        "unidentified",
        "unknown",
        "unknownpatient",
        "unnamed",
        "undefined",
        "unspecified",
        "notknown",
        "none",
        "null",
        "nil",
        "na",
        "nan",
        "notavailable",
        "notapplicable",
        "nopatientid",
        "nopatient",
        "noid",
        "noname",
        "missing",
        "blank",
        "empty",
        "removed",
        "redacted",
        "deleted",
        "masked",
        "hidden",
        "confidential",
        "private",
        "patient",
        "patientid",
        "patid",
        "pid",
        "id",
        "name",
        "test",
        "testpatient",
        "tester",
        "testing",
        "dummy",
        "default",
        "sample",
        "example",
        "demo",
        "phantom",
        "temp",
        "anonymisiert",
        "anonyme",
        "anonimo",
        "inconnu",
        "unbekannt",
        "desconocido",
    ]
)


@dataclass(frozen=True)
class Identifier:
    """What the header of a DICOM file says of its patient.

    Attributes:
        placeholder: the known word that stands for a patient ID, such as `anon`, `0` or `(empty)`; None for any other ID.
        sex: key of the patient's sex; None if the file does not give it.
        born: key of the year of birth.
    """

    placeholder: str | None
    sex: str | None = field(default=None, repr=False)
    born: str | None = field(default=None, repr=False)


def known_placeholder(patient_id: str) -> str | None:
    """Return the known word that a patient ID is, whatever its case, marks and zeros; None for any other.

    >>> known_placeholder("ANON-000")
    'anon'
    """
    letters = re.sub(r"[\W_]+", "", patient_id.casefold())
    if not letters:
        return EMPTY
    word = letters.strip("0")
    if not word:
        return "0"
    if set(word) == {"x"}:
        return "x"
    return word if word in _WORDS else None


def read_identifier(path: Path, salt: bytes) -> Identifier | None:
    """Return what the header of a DICOM file says of its patient; None if it cannot be read.

    Args:
        path: of a DICOM file, with or without preamble.
        salt: of the keys.
    """
    tags = ["PatientID", "PatientSex", "PatientBirthDate"]
    try:
        with quiet():
            header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=tags, force=True)
            patient, sex, born = (str(header.get(tag) or "").strip("\0 ") for tag in tags)
    except Exception:  # pydicom raises many kinds of errors on invalid bytes; the reader of the pixels reports them
        return None
    sex = sex.casefold() if sex.casefold() in ("m", "f") else ""
    year = born[:4] if re.match(r"(?:18|19|20)\d\d", born) else ""
    return Identifier(known_placeholder(patient), _key(salt, "sex", sex), _key(salt, "born", year))


def _key(salt: bytes, kind: str, value: str) -> str | None:
    return hmac.new(salt, f"{kind} {value}".encode(), "sha256").hexdigest() if value else None
