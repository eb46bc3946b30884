"""Pictures made from one another: found by perceptual hash, shown by laying one over the other.

A copy that was re-encoded, resized, cropped, flipped, turned or made brighter has other bytes and the same content. The
hash finds for every picture, in each way it may have been turned, a few that could be its copies; registration then
decides. Two radiographs of two patients are alike at a glance but not in their fine structure, so that is what is
compared once they lie on each other.
"""

from dataclasses import dataclass

import cv2
import faiss
import numpy as np
import pandas as pd
from scipy.fft import dctn
from scipy.stats import rankdata

from bonexray.compute import spread
from bonexray.config import Audit, Compute
from bonexray.data.images import resized

THUMB_PX, COARSE_PX, HASH_PX, HASH_TERMS = 128, 64, 32, 8
ORIENTATIONS = 8  # four right angles, each also flipped
MOVES = [*((degrees, 1.0) for degrees in range(-20, 21, 5)), (0, 1.06), (0, 0.94)]  # turned, and nearer or farther
MOST_BITS = 20  # of 64: hashes further apart are of nothing alike
COARSE_LIKENESS = 0.75  # below this even the outlines differ
MOST_STRETCH = 1.4
LEAST_SHARE = 0.025  # of the picture that both must show
BLACK = 12  # of 255: nothing is shown
_CRITERIA = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 20, 1e-3)


@dataclass(frozen=True)
class Pair:
    """Two pictures, by their places in the list, and how alike their fine structure is, at most 1."""

    one: int
    other: int
    likeness: float


def thumbnail(pixels: np.ndarray) -> np.ndarray:
    """What an image is compared by: uint8 (128, 128), stretched to a square and over the whole range."""
    low, high = float(pixels.min()), float(pixels.max())
    square = resized(pixels.astype(np.float32), THUMB_PX, THUMB_PX)
    return np.rint((square - low) / ((high - low) or 1.0) * 255).clip(0, 255).astype(np.uint8)


def lookalikes(thumbnails: np.ndarray, settings: Audit, compute: Compute) -> list[Pair]:
    """The pairs of pictures of which one was made from the other, the most alike first.

    Args:
        thumbnails: uint8 (images, 128, 128).
        settings: how many neighbours each is compared with, and the least likeness.
        compute: where the work is done.
    """
    found = candidates(thumbnails, settings.neighbours)
    items = [(thumbnails[a], thumbnails[b], view) for a, b, view in found]
    likeness = spread(likeness_of, items, "comparing", compute, threads=True)
    pairs = [Pair(min(a, b), max(a, b), value) for (a, b, _), value in zip(found, likeness, strict=True)]
    return sorted((p for p in pairs if p.likeness >= settings.likeness), key=lambda p: (-p.likeness, p.one, p.other))


def candidates(thumbnails: np.ndarray, neighbours: int) -> list[tuple[int, int, int]]:
    """For each picture the few whose hash is nearest to that of any of its views.

    Args:
        thumbnails: uint8 (images, 128, 128).
        neighbours: how many of each.

    Returns:
        (picture, other, the view of the picture that is like the other), each pair once.
    """
    count = len(thumbnails)
    if count < 2:
        return []
    small = np.stack([_ranked(cv2.resize(t, (HASH_PX, HASH_PX), interpolation=cv2.INTER_AREA)) for t in thumbnails])
    index = _index_of(perceptual_hashes(small))
    near = pd.concat([_nearest(index, small, view, neighbours) for view in range(ORIENTATIONS * len(MOVES))])
    near = near.sort_values(["bits", "one", "other", "view"], kind="stable")
    near = near.drop_duplicates(["one", "other"]).groupby("one").head(neighbours)
    near["pair"] = np.minimum(near["one"], near["other"]) * count + np.maximum(near["one"], near["other"])
    near = near.drop_duplicates("pair").sort_values("pair")
    return list(near[["one", "other", "view"]].itertuples(index=False, name=None))


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


def likeness_of(one: np.ndarray, other: np.ndarray, view: int) -> float:
    """Lay one picture over the other and correlate their fine structure.

    The outline of a collimated field is as good as the same in all radiographs, so it guides the registration and then
    does not count.

    Args:
        one: uint8 (128, 128).
        other: uint8 (128, 128).
        view: of the one, where the search for its place begins.

    Returns:
        Correlation over what both show of the body, 0 where no place is found or next to nothing is shown.

    References:
        Evangelidis and Psarakis, Parametric image alignment using enhanced correlation coefficient maximization,
        IEEE TPAMI 2008.
    """
    one, (degrees, scale) = oriented(one[None], view // len(MOVES))[0], MOVES[view % len(MOVES)]
    warp = _turn(COARSE_PX, -degrees, 1 / scale).astype(np.float32)
    likeness, warp = _registered(_coarse(other), _coarse(one), warp)
    if likeness < COARSE_LIKENESS:
        return 0.0
    warp[:, 2] *= THUMB_PX / COARSE_PX
    likeness, warp = _registered(_local_contrast(other, 6.0), _local_contrast(one, 6.0), warp)
    return _correlation(one, other, warp) if likeness > 0 else 0.0


def oriented(pictures: np.ndarray, orientation: int) -> np.ndarray:
    """Pictures (images, side, side) in one of the eight ways that a square can be laid down."""
    turned = np.rot90(pictures, orientation % 4, axes=(1, 2))
    return np.ascontiguousarray(turned[:, :, ::-1] if orientation >= 4 else turned)


def _nearest(index: faiss.IndexBinary, small: np.ndarray, view: int, neighbours: int) -> pd.DataFrame:
    bits, other = index.search(perceptual_hashes(_viewed(small, view)), neighbours + 1)
    one = np.repeat(np.arange(len(small)), bits.shape[1])
    rows = pd.DataFrame({"one": one, "other": other.ravel(), "bits": bits.ravel(), "view": view})
    return rows[(rows["one"] != rows["other"]) & (rows["other"] >= 0) & (rows["bits"] <= MOST_BITS)]


def _viewed(small: np.ndarray, view: int) -> np.ndarray:
    turned, warp = oriented(small, view // len(MOVES)), _turn(HASH_PX, *MOVES[view % len(MOVES)])
    return np.stack([cv2.warpAffine(t, warp, t.shape, borderMode=cv2.BORDER_REPLICATE) for t in turned])


def _turn(side_px: int, degrees: float, scale: float) -> np.ndarray:
    """About the centre, as a matrix (2, 3)."""
    return cv2.getRotationMatrix2D(((side_px - 1) / 2,) * 2, degrees, scale)


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


def _coarse(thumb: np.ndarray) -> np.ndarray:
    small = cv2.resize(thumb, (COARSE_PX, COARSE_PX), interpolation=cv2.INTER_AREA)
    return np.log(small / np.float32(255) + np.float32(0.05))


def _correlation(one: np.ndarray, other: np.ndarray, warp: np.ndarray) -> float:
    moved, shown = (
        cv2.warpAffine(picture, warp, other.shape, flags=cv2.WARP_INVERSE_MAP | interpolation)
        for picture, interpolation in ((_local_contrast(one, 3.0), cv2.INTER_LINEAR), (_body(one), cv2.INTER_NEAREST))
    )
    both = (shown & _body(other)).astype(bool)
    if both.sum() < LEAST_SHARE * both.size:
        return 0.0
    value = np.corrcoef(moved[both], _local_contrast(other, 3.0)[both])[0, 1]
    return float(value) if np.isfinite(value) else 0.0


def _body(thumb: np.ndarray) -> np.ndarray:
    """1 where something is shown, away from the edge of the field and of the picture."""
    shown = (cv2.GaussianBlur(thumb, (0, 0), 1.0) > BLACK).astype(np.uint8)
    return cv2.erode(shown, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7)), borderValue=0)


def _local_contrast(thumb: np.ndarray, sigma_px: float) -> np.ndarray:
    """Difference to the surroundings in units of their deviation, whatever the exposure."""
    level = np.log(thumb / np.float32(255) + np.float32(0.03))
    detail = level - cv2.GaussianBlur(level, (0, 0), sigma_px)
    return detail / (np.sqrt(cv2.GaussianBlur(detail * detail, (0, 0), sigma_px)) + np.float32(0.02))


def _registered(fixed: np.ndarray, moving: np.ndarray, warp: np.ndarray) -> tuple[float, np.ndarray]:
    try:
        likeness, warp = cv2.findTransformECC(fixed, moving, warp, cv2.MOTION_AFFINE, _CRITERIA, None, 5)
    except cv2.error:  # the iteration did not converge: these two have no place on each other
        return 0.0, warp
    stretch = np.linalg.svd(warp[:, :2], compute_uv=False) if np.isfinite(warp).all() else np.zeros(2)
    plausible = stretch.min() > 1 / MOST_STRETCH and stretch.max() < MOST_STRETCH
    return (float(likeness) if plausible else 0.0), warp
