"""Audit the files of a dataset before the split: find unusable files, with the reason, and describe the others."""

import hashlib
import math
import secrets
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from bonexray.base.hashing import sha256_of
from bonexray.compute import Compute, parallel_map
from bonexray.dataset.links import is_outside
from bonexray.dataset.names import escaped, name_problem
from bonexray.dataset.source import Source
from bonexray.images.radiograph import Radiograph, UnreadableImage
from bonexray.images.reading import read_radiograph
from bonexray.split.identifiers import read_identifier
from bonexray.split.thumbnails import thumbnail


@dataclass(frozen=True)
class AuditedImage:
    """An image of the dataset and the facts that its file gives.

    Attributes:
        source: the image as the dataset lists it; its path is escaped if it cannot be printed.
        sha256: hash of the file's bytes; empty if they cannot be read.
        reason: reason that the image cannot be used; None if it can.
        pixels_sha256: hash of size and pixels, so that lossless copies share it.
        thumbnail: uint8 (160, 160), compared with those of other images.
        patient: key shared by the images of a patient, valid in this run only; never written to a file or log.
        placeholder: the word that stands for a patient ID, as in `Identifier`; None for any other ID and other formats.
        sex: key of the patient's sex; this and the next as the patient.
        born: key of the year of birth.
        height: number of rows of pixels; this and the facts below are empty, 0 or NaN if the image cannot be read.
        width: number of columns of pixels.
        file_format: such as PNG or DICOM.
        mode: pixel format in the file, as in `Radiograph`.
        file_bytes: size of the file.
        mean: mean brightness in [0, 1].
        spread: standard deviation of the brightness.
        gradient: mean absolute difference of neighbouring pixels.
        remarks: what was malformed in the file and what was assumed instead, without values of the file.
    """

    source: Source
    sha256: str
    reason: str | None
    pixels_sha256: str = ""
    thumbnail: np.ndarray | None = field(default=None, repr=False, compare=False)
    patient: str | None = field(default=None, repr=False)
    placeholder: str | None = None
    sex: str | None = field(default=None, repr=False)
    born: str | None = field(default=None, repr=False)
    height: int = 0
    width: int = 0
    file_format: str = ""
    mode: str = ""
    file_bytes: int = 0
    mean: float = math.nan
    spread: float = math.nan
    gradient: float = math.nan
    remarks: tuple[str, ...] = ()


def audit_images(
    root: Path, sources: list[Source], compute: Compute, *, follow: bool = False, salt: bytes | None = None
) -> list[AuditedImage]:
    """Read every image once; return its facts, or the reason why it cannot be used, in the order of the sources.

    Args:
        root: folder of the dataset.
        sources: its images.
        compute: where they are read.
        follow: whether links out of the root are followed.
        salt: of the keys of patients; the same for data sets whose patients are compared. None draws one.
    """
    salt = salt or secrets.token_bytes(32)  # never stored, so that keys cannot be matched later
    items = [(root.resolve(), source, salt, follow) for source in sources]
    return list(parallel_map(_examine, items, "reading", compute, threads=True))


def _examine(root: Path, source: Source, salt: bytes, follow: bool) -> AuditedImage:
    path, problem = root / source.path, name_problem(source.path)
    if problem:
        source = replace(source, path=escaped(source.path))
    if not follow and is_outside(root, path):
        return AuditedImage(source, "", "a link that leaves the dataset's folder")
    if problem:
        return AuditedImage(source, _sha256_if_readable(path), f"{problem}; rename the file")
    try:
        radiograph = read_radiograph(path, salt)
        return AuditedImage(
            source, sha256_of(path), None, **_facts(path, radiograph), **_patient(path, radiograph, salt)
        )
    except UnreadableImage as error:
        return AuditedImage(source, _sha256_if_readable(path), str(error))


def _facts(path: Path, radiograph: Radiograph) -> dict[str, Any]:
    height, width = radiograph.pixels.shape
    pixels = hashlib.sha256(str((height, width)).encode() + radiograph.pixels.tobytes()).hexdigest()
    return {
        "pixels_sha256": pixels,
        "thumbnail": thumbnail(radiograph.pixels),
        "height": height,
        "width": width,
        "file_format": radiograph.file_format,
        "mode": radiograph.mode,
        "file_bytes": path.stat().st_size,
        "mean": float(radiograph.pixels.mean(dtype=np.float64)),
        "spread": float(radiograph.pixels.std(dtype=np.float64)),
        "gradient": mean_gradient(radiograph.pixels),
        "remarks": radiograph.remarks,
    }


def _patient(path: Path, radiograph: Radiograph, salt: bytes) -> dict[str, str | None]:
    """Return the patient of a DICOM file, unless its ID is a placeholder, and what tells patients apart."""
    identifier = read_identifier(path, salt) if radiograph.file_format == "DICOM" else None
    if identifier is None:
        return {"patient": radiograph.patient}
    named = identifier.placeholder is None
    return {"patient": radiograph.patient if named else None, **vars(identifier)}


def mean_gradient(pixels: np.ndarray) -> float:
    """Return the mean absolute difference of neighbours in float (height, width), over both directions; 0 for one pixel."""
    steps = [np.abs(np.diff(pixels, axis=axis)) for axis in (0, 1)]
    total = sum(float(step.sum(dtype=np.float64)) for step in steps)
    return total / max(sum(step.size for step in steps), 1)


def _sha256_if_readable(path: Path) -> str:
    try:
        return sha256_of(path) if path.is_file() else ""
    except OSError:
        return ""
