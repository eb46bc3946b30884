"""What is in the files, before any is split: what cannot be used and why, and what copies are looked for by."""

import hashlib
import math
import secrets
from collections import defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from bonexray.compute import Compute, spread
from bonexray.dataset.sources import Source, escaped, leaves, name_fault
from bonexray.hashing import sha256_of
from bonexray.images.radiograph import Radiograph, UnreadableImage
from bonexray.images.reading import read_radiograph
from bonexray.split.thumbnails import thumbnail


@dataclass(frozen=True)
class Examined:
    """A source after a look into its file.

    Attributes:
        source: the image as the dataset names it, its path escaped where that cannot be printed.
        sha256: of the file's bytes, empty where they cannot be read.
        reason: why the image cannot be used, None when it can.
        pixels_sha256: of its size and pixels, the same for a file saved anew without loss.
        thumbnail: uint8 (128, 128), what it is compared with others by.
        patient: a key that images of one patient share within this run alone; for no file and no log.
        height: rows of pixels; 0 where the image cannot be read, as for the other facts.
        width: columns of pixels.
        file_format: PNG, DICOM and so on.
        mode: how the file stores its pixels, as in `Radiograph`.
        file_bytes: size of the file.
        mean: mean brightness in [0, 1], or nan.
    """

    source: Source
    sha256: str
    reason: str | None
    pixels_sha256: str = ""
    thumbnail: np.ndarray | None = field(default=None, repr=False, compare=False)
    patient: str | None = field(default=None, repr=False)
    height: int = 0
    width: int = 0
    file_format: str = ""
    mode: str = ""
    file_bytes: int = 0
    mean: float = math.nan


def examine(root: Path, sources: list[Source], compute: Compute) -> list[Examined]:
    """Read every image once; keep what is known of it and, where it cannot be used, the reason. In the order given."""
    salt = secrets.token_bytes(32)  # forgotten with this call, so that no key outlives it
    items = [(root.resolve(), source, salt) for source in sources]
    return _contradictions(list(spread(_examine, items, "reading", compute, threads=True)))


def _examine(root: Path, source: Source, salt: bytes) -> Examined:
    path, fault = root / source.path, name_fault(source.path)
    if fault:
        source = replace(source, path=escaped(source.path))
    if leaves(root, path):
        return Examined(source, "", "a link that leaves the dataset's folder")
    if fault:
        return Examined(source, _sha256_if_readable(path), f"{fault}; rename the file")
    try:
        radiograph = read_radiograph(path, salt)
        return Examined(source, sha256_of(path), None, **_facts(path, radiograph))
    except UnreadableImage as error:
        return Examined(source, _sha256_if_readable(path), str(error))


def _facts(path: Path, radiograph: Radiograph) -> dict[str, Any]:
    height, width = radiograph.pixels.shape
    pixels = hashlib.sha256(str((height, width)).encode() + radiograph.pixels.tobytes()).hexdigest()
    return {
        "pixels_sha256": pixels,
        "thumbnail": thumbnail(radiograph.pixels),
        "patient": radiograph.patient,
        "height": height,
        "width": width,
        "file_format": radiograph.file_format,
        "mode": radiograph.mode,
        "file_bytes": path.stat().st_size,
        "mean": float(radiograph.pixels.mean(dtype=np.float64)),
    }


def _sha256_if_readable(path: Path) -> str:
    try:
        return sha256_of(path) if path.is_file() else ""
    except OSError:
        return ""


def _contradictions(examined: list[Examined]) -> list[Examined]:
    """The same pixels under two labels: nobody knows which is right, so none of them is used."""
    labels = defaultdict(set)
    for item in examined:
        if item.reason is None:
            labels[item.pixels_sha256].add(item.source.label)
    return [
        replace(item, reason=f"the same image under {len(names)} labels: {', '.join(names)}")
        if item.reason is None and len(names := sorted(labels[item.pixels_sha256])) > 1
        else item
        for item in examined
    ]
