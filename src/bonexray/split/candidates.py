"""Find, for each image, the others that share most keypoints with it.

Anatomy repeats: a knee's outline has much the same keypoints in any patient. A keypoint of an image therefore counts for
another image only as far as it is nearer to it than to the images that come after.
"""

from collections.abc import Sequence

import faiss
import numpy as np

from bonexray.compute import Compute, parallel_map
from bonexray.split.keypoints import TERMS, Keypoints

LOCAL = Compute(backend="local", scheduler=None)  # the index is shared by all threads
MIN_VOTES = 4  # keypoints that vote for an image
NEAREST = 10  # keypoints of other images for each keypoint
BATCH = 64  # images searched at a time
EXACT = 20_000  # keypoints up to which all are compared
CELLS_PER_ROOT, PROBES = 1.5, 4  # cells of the index for each square root of the number of keypoints; cells searched
SAMPLE_PER_CELL, ROUNDS = 40, 6  # of the clustering


def find_candidates(keypoints: Sequence[Keypoints], count: int) -> list[list[int]]:
    """Return for each image the rows of others that could be copies of it, the likeliest first.

    Args:
        keypoints: of each image.
        count: maximum number for each image.
    """
    owners = np.repeat(np.arange(len(keypoints)), [len(item.places) for item in keypoints])
    if len(keypoints) < 2 or count < 1 or not len(owners):
        return [[] for _ in keypoints]
    index = _index_of(np.concatenate([item.descriptors for item in keypoints]))
    batches = range(0, len(keypoints), BATCH)
    items = [(index, owners, keypoints[start : start + BATCH], start, count) for start in batches]
    return [ranked for found in parallel_map(_of_batch, items, "searching", LOCAL, threads=True) for ranked in found]


def _of_batch(
    index: faiss.Index, owners: np.ndarray, batch: Sequence[Keypoints], start: int, count: int
) -> list[list[int]]:
    """Return the candidates of the images of a batch, which begins with the image of row `start`."""
    turned = [item.mirrored() for item in batch]
    queries = np.concatenate([item.descriptors for view in (batch, turned) for item in view])
    images = np.tile(np.repeat(np.arange(start, start + len(batch)), [len(item.places) for item in batch]), 2)
    mirrored = np.arange(len(queries)) >= len(queries) // 2
    if not len(queries):
        return [[] for _ in batch]
    distances, rows = index.search(queries.astype(np.float32), NEAREST + 1)
    others = np.where(rows < 0, -1, owners[rows])
    votes = np.sqrt(np.maximum(distances[:, -1:], 0)) - np.sqrt(np.maximum(distances, 0))
    votes[(others < 0) | (others == images[:, None]) | ~np.isfinite(votes)] = 0
    ranked = []
    for row in range(start, start + len(batch)):
        tallies = [_tally(others[own], votes[own]) for own in (images == row) & np.stack([~mirrored, mirrored])]
        totals: dict[int, float] = {}
        for other, total in [pair for tally in tallies for pair in tally]:
            totals[other] = max(total, totals.get(other, 0.0))
        ranked.append(sorted(totals, key=lambda other: (-totals[other], other))[:count])
    return ranked


def _tally(others: np.ndarray, votes: np.ndarray) -> list[tuple[int, float]]:
    """Return the images that get enough votes (keypoints, nearest), and their sums; a keypoint votes once for an image."""
    order = np.lexsort((-votes.ravel(), others.ravel(), np.repeat(np.arange(len(others)), others.shape[1])))
    keypoint, image = (np.repeat(np.arange(len(others)), others.shape[1])[order], others.ravel()[order])
    first = np.ones(len(order), bool)
    first[1:] = (keypoint[1:] != keypoint[:-1]) | (image[1:] != image[:-1])
    first &= votes.ravel()[order] > 0
    images, numbers = np.unique(image[first], return_inverse=True)
    totals, enough = np.bincount(numbers, votes.ravel()[order][first]), np.bincount(numbers) >= MIN_VOTES
    return list(zip(images[enough].tolist(), totals[enough].tolist(), strict=True))


def _index_of(descriptors: np.ndarray) -> faiss.Index:
    """Return an index of uint8 (keypoints, 128) that keeps them in bytes."""
    cells = max(1, int(CELLS_PER_ROOT * len(descriptors) ** 0.5)) if len(descriptors) > EXACT else 1
    coarse = faiss.IndexFlatL2(TERMS)
    index = faiss.IndexIVFScalarQuantizer(coarse, TERMS, cells, faiss.ScalarQuantizer.QT_8bit_direct)
    index.cp.min_points_per_centroid, index.cp.max_points_per_centroid, index.cp.niter = 1, SAMPLE_PER_CELL, ROUNDS
    index.nprobe = min(cells, PROBES)
    step = max(1, len(descriptors) // (SAMPLE_PER_CELL * cells))
    index.train(descriptors[::step].astype(np.float32))
    for start in range(0, len(descriptors), 100_000):
        index.add(descriptors[start : start + 100_000].astype(np.float32))
    return index
