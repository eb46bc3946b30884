"""What is wrong with the images before any is split: unreadable, contradictory, or the same twice."""

import math
import secrets
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from bonexray.data.images import read_radiograph
from bonexray.data.radiograph import Radiograph, UnreadableImage
from bonexray.data.sources import Source, leaves
from bonexray.outputs import sha256_of
from bonexray.progress import progress


@dataclass(frozen=True)
class Examined:
    """A source after a look into its file.

    Attributes:
        source: the image as the dataset names it.
        sha256: of the file's bytes, empty where they cannot be read.
        reason: why the image cannot be used, None when it can.
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
    patient: str | None = field(default=None, repr=False)
    height: int = 0
    width: int = 0
    file_format: str = ""
    mode: str = ""
    file_bytes: int = 0
    mean: float = math.nan


def examine(root: Path, sources: list[Source]) -> list[Examined]:
    """Read every image once; keep its hash and, where it cannot be used, the reason. In the order given."""
    salt = secrets.token_bytes(32)  # forgotten with this call, so that no key outlives it
    jobs = (delayed(_examine)(root, source, salt) for source in sources)
    found: Iterable[Examined] = Parallel(n_jobs=-1, prefer="threads", return_as="generator")(jobs)
    return _contradictions(list(progress(found, "reading", len(sources))))


def groups_of(examined: list[Examined]) -> np.ndarray:
    """Number the groups: images of one named group, of one patient, or with the same bytes, are one group.

    Returns:
        int (images,): equal numbers are one group, also where names, patients and bytes link images in a chain.
    """
    alone = [f"path:{item.source.path}" for item in examined]
    links = (
        [item.source.group or own for item, own in zip(examined, alone, strict=True)],
        [item.patient or own for item, own in zip(examined, alone, strict=True)],
        [item.sha256 for item in examined],
    )
    nodes, edges = len(examined), []
    for names in links:
        _, codes = np.unique(names, return_inverse=True)
        edges.append(nodes + codes)
        nodes += codes.max() + 1
    images = np.tile(np.arange(len(examined)), len(links))
    ends = np.concatenate(edges)
    _, component = connected_components(coo_array((np.ones(len(ends)), (images, ends)), shape=(nodes, nodes)), False)
    return component[: len(examined)]


def _examine(root: Path, source: Source, salt: bytes) -> Examined:
    path = root / source.path
    if leaves(root, path):
        return Examined(source, "", "a link that leaves the dataset's folder")
    try:
        radiograph = read_radiograph(path, salt)
        return Examined(source, sha256_of(path), None, **_facts(path, radiograph))
    except UnreadableImage as error:
        return Examined(source, _sha256_if_readable(path), str(error))


def _facts(path: Path, radiograph: Radiograph) -> dict[str, Any]:
    height, width = radiograph.pixels.shape
    return {
        "patient": radiograph.patient, "height": height, "width": width, "file_format": radiograph.file_format,
        "mode": radiograph.mode, "file_bytes": path.stat().st_size,
        "mean": float(radiograph.pixels.mean(dtype=np.float64)),
    }  # fmt: skip


def _sha256_if_readable(path: Path) -> str:
    try:
        return sha256_of(path) if path.is_file() else ""
    except OSError:
        return ""


def _contradictions(examined: list[Examined]) -> list[Examined]:
    """The same bytes under two labels: nobody knows which is right, so none of them is used."""
    labels = defaultdict(set)
    for item in examined:
        if item.reason is None:
            labels[item.sha256].add(item.source.label)
    return [
        replace(item, reason=f"the same image under {len(names)} labels: {', '.join(names)}")
        if item.reason is None and len(names := sorted(labels[item.sha256])) > 1
        else item
        for item in examined
    ]
