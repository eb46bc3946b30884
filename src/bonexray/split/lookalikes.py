"""Pictures made from one another: found by perceptual hash and fine structure, shown by laying one over the other.

A copy that was re-encoded, resized, cropped, flipped, turned or made brighter has other bytes and the same content. The
search finds for every picture, in each way it may have been turned, a few that could be its copies; registration then
decides. Two radiographs of two patients are alike at a glance but not in their fine structure, so that is what is
compared once they lie on each other.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from bonexray.compute import Compute, one_thread_each, spread
from bonexray.split.candidates import candidates
from bonexray.split.settings import Audit
from bonexray.split.thumbnails import THUMB_PX, VIEWS, body, local_contrast, oriented, turn

COARSE_PX = 64
COARSE_LIKENESS = 0.75  # below this even the outlines differ
MOST_STRETCH = 1.4
REGISTERED_SIGMA_PX, COMPARED_SIGMA_PX = 6.0, 3.0  # of the local contrast
PATCH_PX = (
    4 * math.pi * COMPARED_SIGMA_PX**2
)  # the area over which that blur averages: what lies in it is one observation
ONE_SIDED_99 = 2.326  # standard normal
_CRITERIA = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 20, 1e-3)


@dataclass(frozen=True)
class Pair:
    """Two pictures, by their places in the list, and how alike their fine structure is, at most 1."""

    one: int
    other: int
    likeness: float


def lookalikes(thumbnails: np.ndarray, settings: Audit, compute: Compute) -> list[Pair]:
    """The pairs of pictures of which one was made from the other, the most alike first.

    Args:
        thumbnails: uint8 (images, 128, 128).
        settings: how many neighbours each is compared with, and the least likeness.
        compute: where the work is done.
    """
    with one_thread_each():
        found = candidates(thumbnails, settings.neighbours)
        items = [(thumbnails[a], thumbnails[b], view) for a, b, view in found]
        likeness = spread(likeness_of, items, "comparing", compute, threads=True)
        pairs = [Pair(min(a, b), max(a, b), value) for (a, b, _), value in zip(found, likeness, strict=True)]
    return sorted((p for p in pairs if p.likeness >= settings.likeness), key=lambda p: (-p.likeness, p.one, p.other))


def likeness_of(one: np.ndarray, other: np.ndarray, view: int) -> float:
    """Lay one picture over the other and correlate their fine structure.

    The outline of a collimated field is as good as the same in all radiographs, so it guides the registration and then
    does not count.

    Args:
        one: uint8 (128, 128).
        other: uint8 (128, 128).
        view: of the one, where the search for its place begins, as a number of `VIEWS`.

    Returns:
        Correlation over what both show of the body, less where that is a small part of the picture; 0 where no place is
        found or next to nothing is shown.

    References:
        Evangelidis and Psarakis, Parametric image alignment using enhanced correlation coefficient maximization,
        IEEE TPAMI 2008.
    """
    orientation, degrees, scale = VIEWS[view]
    one = oriented(one[None], orientation)[0]
    warp = turn(COARSE_PX, -degrees, 1 / scale).astype(np.float32)
    likeness, warp = _registered(_coarse(other), _coarse(one), warp)
    if likeness < COARSE_LIKENESS:
        return 0.0
    warp[:, 2] *= THUMB_PX / COARSE_PX
    likeness, warp = _registered(*(local_contrast(picture, REGISTERED_SIGMA_PX) for picture in (other, one)), warp)
    return _correlation(one, other, warp) if likeness > 0 else 0.0


def _coarse(thumb: np.ndarray) -> np.ndarray:
    small = cv2.resize(thumb, (COARSE_PX, COARSE_PX), interpolation=cv2.INTER_AREA)
    return np.log(small / np.float32(255) + np.float32(0.05))


def _correlation(one: np.ndarray, other: np.ndarray, warp: np.ndarray) -> float:
    contrast, compared = local_contrast(one, COMPARED_SIGMA_PX), local_contrast(other, COMPARED_SIGMA_PX)
    moved, shown = (
        cv2.warpAffine(picture, warp, other.shape, flags=cv2.WARP_INVERSE_MAP | interpolation)
        for picture, interpolation in ((contrast, cv2.INTER_LINEAR), (body(one), cv2.INTER_NEAREST))
    )
    both = (shown & body(other)).astype(bool)
    patches = both.sum() / PATCH_PX
    if patches <= 3:
        return 0.0
    value = np.corrcoef(moved[both], compared[both])[0, 1]
    return _secured(float(value), patches, both.size / PATCH_PX) if np.isfinite(value) else 0.0


def _secured(correlation: float, observations: float, of: float) -> float:
    """A correlation of few observations brought to what it says as safely as one of many.

    Two shafts side by side fit any two others: a narrow limb in a dark frame has next to nothing else, and correlates by
    chance. So what its one-sided 99 % bound loses against that of a whole picture is taken off, in Fisher's z.
    """
    loss = ONE_SIDED_99 * (1 / math.sqrt(observations - 3) - 1 / math.sqrt(of - 3))
    return math.tanh(math.atanh(min(correlation, 1 - 1e-9)) - loss)


def _registered(fixed: np.ndarray, moving: np.ndarray, warp: np.ndarray) -> tuple[float, np.ndarray]:
    try:
        likeness, warp = cv2.findTransformECC(fixed, moving, warp, cv2.MOTION_AFFINE, _CRITERIA, None, 5)
    except cv2.error:  # the iteration did not converge: these two have no place on each other
        return 0.0, warp
    stretch = np.linalg.svd(warp[:, :2], compute_uv=False) if np.isfinite(warp).all() else np.zeros(2)
    plausible = stretch.min() > 1 / MOST_STRETCH and stretch.max() < MOST_STRETCH
    return (float(likeness) if plausible else 0.0), warp
