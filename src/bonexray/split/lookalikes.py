"""Find images that are copies of each other although their pixels differ.

A copy that was re-encoded, resized, cropped, shifted, padded, flipped, rotated, blurred or brightened has different pixels
but the same content. A search by keypoints finds a few candidates for every image; registration then decides. Radiographs
of different patients share the outlines of their anatomy but not its fine structure, which is compared once two images
are registered.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.cluster.hierarchy import DisjointSet

from bonexray.compute import Compute, one_thread_per_caller, parallel_map
from bonexray.split.candidates import find_candidates
from bonexray.split.keypoints import Keypoints, keypoints_of
from bonexray.split.registration import likeness_of, overlay_of
from bonexray.split.settings import Audit

FIRST = 3  # candidates compared for every image; the others only if it has a copy, since there may be more
MORE = 4  # times as many candidates for an image with more copies than that: they may be a crowd
SEARCHED = (
    "copies were searched for that are re-encoded, resized, rotated by any angle, flipped, padded, shifted or cropped by up to "
    "15 %, blurred, noisy or of another brightness; docs/your-xrays.md says how many of each are found"
)
NOT_SEARCHED = "copies with different pixels were not searched for (audit.neighbours=0)"


@dataclass(frozen=True)
class Pair:
    """Two images, by row, and the likeness (at most 1) of their fine structure."""

    one: int
    other: int
    likeness: float


def find_lookalikes(thumbnails: np.ndarray, settings: Audit, compute: Compute) -> list[Pair]:
    """Return the pairs of images that are copies, sorted by decreasing likeness.

    Of many copies of one picture not every pair is among them, but the pairs connect all that were found.

    Args:
        thumbnails: uint8 (images, 160, 160).
        settings: number of neighbours that each image is compared with, and the minimum likeness.
        compute: settings of the backend that runs the work.
    """
    if len(thumbnails) < 2 or settings.neighbours < 1:
        return []
    with one_thread_per_caller():
        keypoints = list(
            parallel_map(keypoints_of, [(thumb,) for thumb in thumbnails], "describing", compute, threads=True)
        )
        near = find_candidates(keypoints, MORE * settings.neighbours)
        pairs: dict[tuple[int, int], float] = {}
        linked = DisjointSet(range(len(thumbnails)))
        count = settings.neighbours
        rounds = ((slice(min(FIRST, count)), 1), (slice(FIRST, count), 2), (slice(count, MORE * count), FIRST + 1))
        for ranks, least in rounds:
            todo = _unlinked(near, ranks, pairs, linked, least)
            items = [(thumbnails[a], thumbnails[b], keypoints[a], keypoints[b]) for a, b in todo]
            likeness = parallel_map(compared, items, "comparing", compute, threads=True) if items else ()
            pairs |= zip(todo, likeness, strict=True)
            for (one, other), value in pairs.items():
                if value >= settings.likeness:
                    linked.merge(one, other)
    copies = [Pair(one, other, value) for (one, other), value in pairs.items() if value >= settings.likeness]
    return sorted(copies, key=lambda pair: (-pair.likeness, pair.one, pair.other))


def compared(one: np.ndarray, other: np.ndarray, points_one: Keypoints, points_other: Keypoints) -> float:
    """Return the likeness of two thumbnails (160, 160) with their keypoints; 0 without enough keypoints in common."""
    overlay = overlay_of(points_one, points_other)
    return likeness_of(one, other, overlay) if overlay else 0.0


def _unlinked(
    near: Sequence[Sequence[int]], ranks: slice, known: dict[tuple[int, int], float], linked: DisjointSet, least: int
) -> list[tuple[int, int]]:
    """Return the pairs of candidates of some ranks that are to be compared.

    Pairs that are linked already are left out, and those of which neither image is linked to enough (`least`, with itself).
    """
    todo = {(min(row, other), max(row, other)) for row, others in enumerate(near) for other in others[ranks]}
    return sorted(
        (one, other)
        for one, other in todo - known.keys()
        if not linked.connected(one, other) and max(linked.subset_size(one), linked.subset_size(other)) >= least
    )
