"""Find, for each image, a few others that could be copies of it.

A perceptual hash finds images with similar outlines in any view. Radiographs of one body part share their outlines, and
a crop shifts them, so the hash returns more candidates than can be registered. They are ranked by the peak of the
cross-correlation of their fine structure, which does not depend on a shift.
"""

import math
from functools import cache

import cv2
import faiss
import numpy as np
import pandas as pd
from scipy.fft import dctn, irfft2, rfft2
from scipy.stats import rankdata

from bonexray.compute import Compute, parallel_map
from bonexray.split.thumbnails import ORIENTATIONS, UPRIGHT, VIEWS, body, local_contrast, viewed

HASH_PX, HASH_TERMS = 32, 8
MAX_BITS = 20  # of 64; images are not similar if more bits of their hashes differ
HASH_FACTOR = 4  # candidates from the hash for each candidate that is kept
STRUCTURE_PX, STRUCTURE_SIGMA_PX = 64, 3.0
MAX_SHIFT_PX = 10  # largest shift, caused by a crop, out of STRUCTURE_PX
LOCAL = Compute(backend="local", scheduler=None)  # the spectra are shared by all threads
KEY = (MAX_BITS + 1, 2**32, len(VIEWS))  # distance, row of the other image and view, as one number that sorts
NONE = math.prod(KEY)
MIN_PROMINENCE = 2.0  # above the median peak of an image's candidates, in median absolute deviations


def find_candidates(thumbnails: np.ndarray, neighbours: int) -> list[tuple[int, int, int]]:
    """Return the pairs of images that could be copies, in any view.

    Args:
        thumbnails: uint8 (images, 128, 128).
        neighbours: maximum number for each image; if the hash finds more, only those that stand out are kept.

    Returns:
        (row of one image, row of the other, number of the view of the one that matches the other), each pair once.
    """
    if len(thumbnails) < 2 or neighbours < 1:
        return []
    near = nearest_hashes(thumbnails, HASH_FACTOR * neighbours)
    near["peak"] = _peaks(thumbnails, near)
    keep = _is_prominent(near, "one", neighbours) | _is_prominent(near, "other", neighbours)
    return list(near.loc[keep, ["one", "other", "view"]].itertuples(index=False, name=None))


def nearest_hashes(thumbnails: np.ndarray, neighbours: int) -> pd.DataFrame:
    """Return for each image those whose hash is nearest to the hash of any of its views.

    Args:
        thumbnails: uint8 (images, 128, 128).
        neighbours: number for each image.

    Returns:
        The columns one, other, view and bits (the distance of the hashes); each pair once, sorted by pair.
    """
    small = np.stack([_ranked(cv2.resize(t, (HASH_PX, HASH_PX), interpolation=cv2.INTER_AREA)) for t in thumbnails])
    index = _index_of(perceptual_hashes(small))
    keys = np.empty((len(small), 0), np.int64)
    for orientation in range(ORIENTATIONS):
        views = [number for number, view in enumerate(VIEWS) if view[0] == orientation]
        new_keys = [_nearest(index, small, view, neighbours) for view in views]
        keys = _smallest_keys(np.concatenate([keys, *new_keys], axis=1), neighbours)
    one, column = np.nonzero(keys < NONE)
    bits, other, view = np.unravel_index(keys[one, column], KEY)
    near = pd.DataFrame({"one": one, "other": other, "view": view, "bits": bits})
    near["pair"] = near[["one", "other"]].min(axis=1) * len(thumbnails) + near[["one", "other"]].max(axis=1)
    near = near.sort_values(["pair", "bits", "one"]).drop_duplicates("pair")
    return near.drop(columns="pair").reset_index(drop=True)


def perceptual_hashes(small: np.ndarray, view: int = UPRIGHT) -> np.ndarray:
    """Return the 64-bit hash of each image in a view: the low frequencies that exceed their median.

    Args:
        small: float32 (images, 32, 32).
        view: its number in `VIEWS`.

    Returns:
        uint8 (images, 8).

    References:
        Zauner, Implementation and benchmarking of perceptual image hash functions, 2010.
    """
    low = small.reshape(len(small), -1) @ _frequencies(view)
    return np.packbits(low > np.median(low, axis=1, keepdims=True), axis=1)


@cache
def _frequencies(view: int) -> np.ndarray:
    """Return float32 (1024, 64): the matrix that maps pixels linearly to the low frequencies of a view."""
    pixels = np.eye(HASH_PX**2, dtype=np.float32).reshape(-1, HASH_PX, HASH_PX)
    low = dctn(viewed(pixels, view), axes=(1, 2), norm="ortho")[:, :HASH_TERMS, :HASH_TERMS]
    return low.reshape(HASH_PX**2, -1)


def fine_structure(thumb: np.ndarray) -> np.ndarray:
    """Return the fine structure of the body, float32 (64, 64) of zero mean and unit norm; 0 on the background."""
    small = cv2.resize(thumb, (STRUCTURE_PX, STRUCTURE_PX), interpolation=cv2.INTER_AREA)
    mask = body(small, margin_px=3).astype(np.float32)
    detail = local_contrast(small, STRUCTURE_SIGMA_PX)
    detail = (detail - (detail * mask).sum() / max(mask.sum(), 1)) * mask
    return detail / max(float(np.linalg.norm(detail)), 1e-6)


def _nearest(index: faiss.IndexBinary, small: np.ndarray, view: int, neighbours: int) -> np.ndarray:
    """Return the images nearest to a view of each image, as keys, int64 (images, neighbours + 1)."""
    bits, other = index.search(perceptual_hashes(small, view), neighbours + 1)
    invalid = (other < 0) | (other == np.arange(len(small))[:, None]) | (bits > MAX_BITS)
    return np.where(invalid, NONE, np.ravel_multi_index((bits, other, view), KEY, mode="clip"))


def _smallest_keys(keys: np.ndarray, count: int) -> np.ndarray:
    """Return the smallest keys of each row, at most one for each other image."""
    keys = np.sort(keys, axis=1)
    other = np.where(keys < NONE, np.unravel_index(np.minimum(keys, NONE - 1), KEY)[1], -1)
    order = np.argsort(other, axis=1, kind="stable")
    other = np.take_along_axis(other, order, axis=1)
    repeated = np.zeros(keys.shape, bool)
    np.put_along_axis(repeated, order[:, 1:], other[:, 1:] == other[:, :-1], axis=1)
    return np.sort(np.where(repeated, NONE, keys), axis=1)[:, :count]


def _index_of(hashes: np.ndarray) -> faiss.IndexBinary:
    """Return an index with about half as many cells as the root of the number of hashes; a search visits an eighth."""
    cells = max(1, int(len(hashes) ** 0.5) // 2)
    coarse = faiss.IndexBinaryFlat(64)
    index = faiss.IndexBinaryIVF(coarse, 64, cells)
    index.cp.min_points_per_centroid = 1
    index.nprobe = max(8, cells // 8)
    index.train(hashes)
    index.add(hashes)
    index.coarse = coarse  # a reference, so that it is not freed before the index
    return index


def _ranked(small: np.ndarray) -> np.ndarray:
    """Return the rank of each pixel in (0, 1], so that all images have the same brightness and contrast."""
    return (rankdata(small) / small.size).reshape(small.shape).astype(np.float32)


def _peaks(thumbnails: np.ndarray, near: pd.DataFrame) -> np.ndarray:
    """Return float (pairs,): the largest correlation of their fine structure over all small shifts."""
    if near.empty:
        return np.empty(0)
    spectra = np.stack([rfft2(fine_structure(thumb)) for thumb in thumbnails])
    by_one = near.groupby("one", sort=False)
    items = [(thumbnails[one], rows["view"].to_numpy(), rows["other"].to_numpy(), spectra) for one, rows in by_one]
    peaks = np.empty(len(near))
    order = np.concatenate(list(by_one.indices.values()))
    peaks[order] = np.concatenate(list(parallel_map(_peaks_of_one, items, "ranking", LOCAL, threads=True)))
    return peaks


def _peaks_of_one(thumb: np.ndarray, views: np.ndarray, others: np.ndarray, spectra: np.ndarray) -> np.ndarray:
    own = fine_structure(thumb)[None]
    turned = np.concatenate([viewed(own, view, border=cv2.BORDER_CONSTANT) for view in views])
    surface = irfft2(rfft2(turned) * spectra[others].conj(), s=own.shape[1:])
    shifts = np.r_[-MAX_SHIFT_PX : MAX_SHIFT_PX + 1]
    return surface[:, shifts[:, None], shifts].max(axis=(1, 2))


def _is_prominent(near: pd.DataFrame, side: str, neighbours: int) -> pd.Series:
    """Return bool by pair: True if it is among the best of its image on one side, and stands out if there are many."""
    peaks = near.groupby(side)["peak"]
    above = near["peak"] - peaks.transform("median")
    deviation = above.abs().groupby(near[side]).transform("median")
    many = peaks.transform("size") > neighbours
    best = peaks.rank(ascending=False, method="first") <= neighbours
    return best & (~many | (above >= MIN_PROMINENCE * deviation))
