"""Which pictures could be copies of one another: a few for each, out of all.

A perceptual hash finds, for each picture in each of its views, those of the same outlines. Radiographs of one kind share
their outlines, and a crop shifts them, so more are taken than can be laid over one another, and those whose fine
structure fits somewhere, wherever that is, come first: the peak of a cross-correlation does not follow a shift.
"""

import math
from functools import cache

import cv2
import faiss
import numpy as np
import pandas as pd
from scipy.fft import dctn, irfft2, rfft2
from scipy.stats import rankdata

from bonexray.compute import Compute, spread
from bonexray.split.thumbnails import ORIENTATIONS, UPRIGHT, VIEWS, body, local_contrast, viewed

HASH_PX, HASH_TERMS = 32, 8
MOST_BITS = 20  # of 64: hashes further apart are of nothing alike
WIDER = 4  # the hash finds so many times as many as are laid over one another
STRUCTURE_PX, STRUCTURE_SIGMA_PX = 64, 3.0
MOST_SHIFT_PX = 10  # of these 64: what a crop moves
HERE = Compute(backend="local", scheduler=None)  # all spectra are shared: no work for another machine
KEY = (MOST_BITS + 1, 2**32, len(VIEWS))  # how near, which other picture, in which view: as one number that sorts
NONE = math.prod(KEY)
STANDING_OUT = 2.0  # above the median of a picture's candidates, in their median absolute deviations


def candidates(thumbnails: np.ndarray, neighbours: int) -> list[tuple[int, int, int]]:
    """For each picture the few that could be its copies, in any of its views.

    Args:
        thumbnails: uint8 (images, 128, 128).
        neighbours: how many of each at most; where the hash finds more, those that stand out from the rest.

    Returns:
        (picture, other, number of the view of the picture that is like the other), each pair once.
    """
    if len(thumbnails) < 2 or neighbours < 1:
        return []
    near = of_like_outlines(thumbnails, WIDER * neighbours)
    near["peak"] = _peaks(thumbnails, near)
    keep = _standing_out(near, "one", neighbours) | _standing_out(near, "other", neighbours)
    return list(near.loc[keep, ["one", "other", "view"]].itertuples(index=False, name=None))


def of_like_outlines(thumbnails: np.ndarray, neighbours: int) -> pd.DataFrame:
    """For each picture those whose hash is nearest to that of any of its views.

    Args:
        thumbnails: uint8 (images, 128, 128).
        neighbours: how many of each.

    Returns:
        one, other, view and bits, the distance of their hashes; each pair once, sorted by it.
    """
    small = np.stack([_ranked(cv2.resize(t, (HASH_PX, HASH_PX), interpolation=cv2.INTER_AREA)) for t in thumbnails])
    index = _index_of(perceptual_hashes(small))
    best = np.empty((len(small), 0), np.int64)
    for orientation in range(ORIENTATIONS):
        views = [view for view, (mine, *_) in enumerate(VIEWS) if mine == orientation]
        found = [_nearest(index, small, view, neighbours) for view in views]
        best = _first_of_each(np.concatenate([best, *found], axis=1), neighbours)
    one, place = np.nonzero(best < NONE)
    bits, other, view = np.unravel_index(best[one, place], KEY)
    near = pd.DataFrame({"one": one, "other": other, "view": view, "bits": bits})
    near["pair"] = near[["one", "other"]].min(axis=1) * len(thumbnails) + near[["one", "other"]].max(axis=1)
    near = near.sort_values(["pair", "bits", "one"]).drop_duplicates("pair")
    return near.drop(columns="pair").reset_index(drop=True)


def perceptual_hashes(small: np.ndarray, view: int = UPRIGHT) -> np.ndarray:
    """64 bits a picture: which of the lowest frequencies of one of its views are stronger than their median.

    Args:
        small: float32 (images, 32, 32).
        view: as its number in `VIEWS`.

    Returns:
        uint8 (images, 8).

    References:
        Zauner, Implementation and benchmarking of perceptual image hash functions, 2010.
    """
    low = small.reshape(len(small), -1) @ _frequencies(view)
    return np.packbits(low > np.median(low, axis=1, keepdims=True), axis=1)


@cache
def _frequencies(view: int) -> np.ndarray:
    """The lowest frequencies of a view as a matrix over pixels, float32 (1024, 64): both are linear in the picture."""
    pixels = np.eye(HASH_PX**2, dtype=np.float32).reshape(-1, HASH_PX, HASH_PX)
    low = dctn(viewed(pixels, view), axes=(1, 2), norm="ortho")[:, :HASH_TERMS, :HASH_TERMS]
    return low.reshape(HASH_PX**2, -1)


def structure(thumb: np.ndarray) -> np.ndarray:
    """The fine structure of a picture's body, float32 (64, 64) of zero mean and unit length; 0 where none is shown."""
    small = cv2.resize(thumb, (STRUCTURE_PX, STRUCTURE_PX), interpolation=cv2.INTER_AREA)
    shown = body(small, margin_px=3).astype(np.float32)
    detail = local_contrast(small, STRUCTURE_SIGMA_PX)
    detail = (detail - (detail * shown).sum() / max(shown.sum(), 1)) * shown
    return detail / max(float(np.linalg.norm(detail)), 1e-6)


def _nearest(index: faiss.IndexBinary, small: np.ndarray, view: int, neighbours: int) -> np.ndarray:
    """Of each picture those nearest to its view, as keys, int64 (images, neighbours + 1)."""
    bits, other = index.search(perceptual_hashes(small, view), neighbours + 1)
    none = (other < 0) | (other == np.arange(len(small))[:, None]) | (bits > MOST_BITS)
    return np.where(none, NONE, np.ravel_multi_index((bits, other, view), KEY, mode="clip"))


def _first_of_each(keys: np.ndarray, most: int) -> np.ndarray:
    """The smallest keys of each row, one of each other picture."""
    keys = np.sort(keys, axis=1)
    other = np.where(keys < NONE, np.unravel_index(np.minimum(keys, NONE - 1), KEY)[1], -1)
    order = np.argsort(other, axis=1, kind="stable")
    other = np.take_along_axis(other, order, axis=1)
    again = np.zeros(keys.shape, bool)
    np.put_along_axis(again, order[:, 1:], other[:, 1:] == other[:, :-1], axis=1)
    return np.sort(np.where(again, NONE, keys), axis=1)[:, :most]


def _index_of(hashes: np.ndarray) -> faiss.IndexBinary:
    """Hashes in about as many cells as their number's root, of which a search looks into the nearest eighth."""
    cells = max(1, int(len(hashes) ** 0.5) // 2)
    coarse = faiss.IndexBinaryFlat(64)
    index = faiss.IndexBinaryIVF(coarse, 64, cells)
    index.cp.min_points_per_centroid = 1
    index.nprobe = max(8, cells // 8)
    index.train(hashes)
    index.add(hashes)
    index.kept = coarse  # else it is freed under the index
    return index


def _ranked(small: np.ndarray) -> np.ndarray:
    """Each pixel's rank, so that brightness and contrast are the same for all."""
    return (rankdata(small) / small.size).reshape(small.shape).astype(np.float32)


def _peaks(thumbnails: np.ndarray, near: pd.DataFrame) -> np.ndarray:
    """Of each pair the largest correlation of their fine structure over all small shifts, float (pairs,)."""
    if near.empty:
        return np.empty(0)
    spectra = np.stack([rfft2(structure(thumb)) for thumb in thumbnails])
    ones = near.groupby("one", sort=False)
    items = [(thumbnails[one], rows["view"].to_numpy(), rows["other"].to_numpy(), spectra) for one, rows in ones]
    peaks = np.empty(len(near))
    places = np.concatenate(list(ones.indices.values()))
    peaks[places] = np.concatenate(list(spread(_peaks_of_one, items, "looking closer", HERE, threads=True)))
    return peaks


def _peaks_of_one(thumb: np.ndarray, views: np.ndarray, others: np.ndarray, spectra: np.ndarray) -> np.ndarray:
    own = structure(thumb)[None]
    laid = np.concatenate([viewed(own, view, border=cv2.BORDER_CONSTANT) for view in views])
    surface = irfft2(rfft2(laid) * spectra[others].conj(), s=own.shape[1:])
    shifts = np.r_[-MOST_SHIFT_PX : MOST_SHIFT_PX + 1]
    return surface[:, shifts[:, None], shifts].max(axis=(1, 2))


def _standing_out(near: pd.DataFrame, side: str, neighbours: int) -> pd.Series:
    """Whether a pair is among the best of the picture on one side, and stands out where there is a crowd; bool."""
    peaks = near.groupby(side)["peak"]
    above = near["peak"] - peaks.transform("median")
    spread_of = above.abs().groupby(near[side]).transform("median")
    crowd = peaks.transform("size") > neighbours
    best = peaks.rank(ascending=False, method="first") <= neighbours
    return best & (~crowd | (above >= STANDING_OUT * spread_of))
