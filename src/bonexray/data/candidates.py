"""Which pictures could be copies of one another: a few for each, out of all.

A perceptual hash finds, for each picture in each of its views, those of the same outlines. Radiographs of one kind share
their outlines, and a crop shifts them, so more are taken than can be laid over one another, and those whose fine
structure fits somewhere, wherever that is, come first: the peak of a cross-correlation does not follow a shift.
"""

import cv2
import faiss
import numpy as np
import pandas as pd
from scipy.fft import dctn, irfft2, rfft2
from scipy.stats import rankdata

from bonexray.compute import spread
from bonexray.config import Compute
from bonexray.data.thumbnails import VIEWS, body, local_contrast, viewed

HASH_PX, HASH_TERMS = 32, 8
MOST_BITS = 20  # of 64: hashes further apart are of nothing alike
WIDER = 4  # the hash finds so many times as many as are laid over one another
STRUCTURE_PX, STRUCTURE_SIGMA_PX = 64, 3.0
MOST_SHIFT_PX = 10  # of these 64: what a crop moves
HERE = Compute(backend="local", scheduler=None)  # all spectra are shared: no work for another machine
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
    near = pd.concat([_nearest(index, small, view, neighbours) for view in range(len(VIEWS))])
    near = near.sort_values(["bits", "one", "other", "view"], kind="stable")
    near = near.drop_duplicates(["one", "other"]).groupby("one").head(neighbours)
    near["pair"] = near[["one", "other"]].min(axis=1) * len(thumbnails) + near[["one", "other"]].max(axis=1)
    return near.drop_duplicates("pair").sort_values("pair").drop(columns="pair").reset_index(drop=True)


def perceptual_hashes(small: np.ndarray) -> np.ndarray:
    """64 bits a picture: which of its lowest frequencies are stronger than their median.

    Args:
        small: float (images, 32, 32).

    Returns:
        uint8 (images, 8).

    References:
        Zauner, Implementation and benchmarking of perceptual image hash functions, 2010.
    """
    low = dctn(small, axes=(1, 2), norm="ortho")[:, :HASH_TERMS, :HASH_TERMS].reshape(len(small), -1)
    return np.packbits(low > np.median(low, axis=1, keepdims=True), axis=1)


def structure(thumb: np.ndarray) -> np.ndarray:
    """The fine structure of a picture's body, float32 (64, 64) of zero mean and unit length; 0 where none is shown."""
    small = cv2.resize(thumb, (STRUCTURE_PX, STRUCTURE_PX), interpolation=cv2.INTER_AREA)
    shown = body(small, margin_px=3).astype(np.float32)
    detail = local_contrast(small, STRUCTURE_SIGMA_PX)
    detail = (detail - (detail * shown).sum() / max(shown.sum(), 1)) * shown
    return detail / max(float(np.linalg.norm(detail)), 1e-6)


def _nearest(index: faiss.IndexBinary, small: np.ndarray, view: int, neighbours: int) -> pd.DataFrame:
    bits, other = index.search(perceptual_hashes(viewed(small, view)), neighbours + 1)
    one = np.repeat(np.arange(len(small)), bits.shape[1])
    rows = pd.DataFrame({"one": one, "other": other.ravel(), "bits": bits.ravel(), "view": view})
    return rows[(rows["one"] != rows["other"]) & (rows["other"] >= 0) & (rows["bits"] <= MOST_BITS)]


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
