"""What is wrong with the images before any is split: unreadable, contradictory, or the same twice."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from bonexray.data.images import UnreadableImage, read_image
from bonexray.data.sources import Source, leaves
from bonexray.outputs import sha256_of
from bonexray.progress import progress


@dataclass(frozen=True)
class Examined:
    """A source after a look into its file: `reason` says why it cannot be used, None when it can."""

    source: Source
    sha256: str
    reason: str | None


def examine(root: Path, sources: list[Source]) -> list[Examined]:
    """Read every image once; keep its hash and, where it cannot be used, the reason. In the order given."""
    jobs = (delayed(_examine)(root, source) for source in sources)
    found: Iterable[Examined] = Parallel(n_jobs=-1, prefer="threads", return_as="generator")(jobs)
    return _contradictions(list(progress(found, "reading", len(sources))))


def groups_of(examined: list[Examined]) -> np.ndarray:
    """Number the groups: images of one patient, and images with the same bytes, are one group.

    Returns:
        int (images,): equal numbers are one group, also where patient and bytes link images in a chain.
    """
    names = [item.source.group or f"path:{item.source.path}" for item in examined]
    _, name_codes = np.unique(names, return_inverse=True)
    _, hash_codes = np.unique([item.sha256 for item in examined], return_inverse=True)
    nodes = name_codes.max() + 1 + hash_codes.max() + 1
    edges = (np.ones(len(names)), (name_codes, name_codes.max() + 1 + hash_codes))
    _, component = connected_components(coo_array(edges, shape=(nodes, nodes)), directed=False)
    return component[name_codes]


def _examine(root: Path, source: Source) -> Examined:
    path = root / source.path
    if leaves(root, path):
        return Examined(source, "", "a link that leaves the dataset's folder")
    try:
        read_image(path)
    except UnreadableImage as error:
        return Examined(source, sha256_of(path) if path.is_file() else "", str(error))
    return Examined(source, sha256_of(path), None)


def _contradictions(examined: list[Examined]) -> list[Examined]:
    """The same bytes under two labels: nobody knows which is right, so none of them is used."""
    labels = defaultdict(set)
    for item in examined:
        if item.reason is None:
            labels[item.sha256].add(item.source.label)
    return [
        Examined(item.source, item.sha256, f"the same image under {len(names)} labels: {', '.join(names)}")
        if item.reason is None and len(names := sorted(labels[item.sha256])) > 1
        else item
        for item in examined
    ]
