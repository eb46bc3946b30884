"""Find images that are copies of each other although their pixels differ.

A copy that was re-encoded, resized, cropped, flipped, rotated or brightened has different pixels but the same content.
A search by hash and fine structure finds a few candidates for every image, in any orientation; registration then
decides. Radiographs of different patients have similar outlines but not the same fine structure, so fine structure is
compared once two images are registered.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from bonexray.compute import Compute, one_thread_per_caller, parallel_map
from bonexray.split.candidates import find_candidates
from bonexray.split.settings import Audit
from bonexray.split.thumbnails import THUMB_PX, VIEWS, body, local_contrast, oriented, rotation_matrix

COARSE_PX = 64
MIN_COARSE_LIKENESS = 0.75  # below this, even the outlines differ
MAX_STRETCH = 1.4
REGISTERED_SIGMA_PX, COMPARED_SIGMA_PX = 6.0, 3.0  # of the local contrast
PATCH_PX = 4 * math.pi * COMPARED_SIGMA_PX**2  # area over which the blur averages: one independent observation
ONE_SIDED_99 = 2.326  # standard normal
_CRITERIA = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 20, 1e-3)


@dataclass(frozen=True)
class Pair:
    """Two images, by row, and the likeness (at most 1) of their fine structure."""

    one: int
    other: int
    likeness: float


def find_lookalikes(thumbnails: np.ndarray, settings: Audit, compute: Compute) -> list[Pair]:
    """Return the pairs of images that are copies, sorted by decreasing likeness.

    Args:
        thumbnails: uint8 (images, 128, 128).
        settings: number of neighbours that each image is compared with, and the minimum likeness.
        compute: settings of the backend that runs the work.
    """
    with one_thread_per_caller():
        candidates = find_candidates(thumbnails, settings.neighbours)
        items = [(thumbnails[a], thumbnails[b], view) for a, b, view in candidates]
        likeness = parallel_map(likeness_of, items, "comparing", compute, threads=True)
        pairs = [Pair(min(a, b), max(a, b), value) for (a, b, _), value in zip(candidates, likeness, strict=True)]
    return sorted((p for p in pairs if p.likeness >= settings.likeness), key=lambda p: (-p.likeness, p.one, p.other))


def likeness_of(one: np.ndarray, other: np.ndarray, view: int) -> float:
    """Register two images and correlate their fine structure.

    The outline of a collimated field is nearly the same in all radiographs, so it guides the registration but is left
    out of the correlation.

    Args:
        one: uint8 (128, 128).
        other: uint8 (128, 128).
        view: number in `VIEWS` of the view of `one` from which the registration starts.

    Returns:
        The correlation over the body in both images, reduced if the body is a small part of them; 0 if registration
        fails or hardly any body is visible.

    References:
        Evangelidis and Psarakis, Parametric image alignment using enhanced correlation coefficient maximization,
        IEEE TPAMI 2008.
    """
    orientation, degrees, scale = VIEWS[view]
    one = oriented(one[None], orientation)[0]
    warp = rotation_matrix(COARSE_PX, -degrees, 1 / scale).astype(np.float32)
    likeness, warp = _registered(_coarse(other), _coarse(one), warp)
    if likeness < MIN_COARSE_LIKENESS:
        return 0.0
    warp[:, 2] *= THUMB_PX / COARSE_PX
    likeness, warp = _registered(*(local_contrast(image, REGISTERED_SIGMA_PX) for image in (other, one)), warp)
    return _correlation(one, other, warp) if likeness > 0 else 0.0


def _coarse(thumb: np.ndarray) -> np.ndarray:
    small = cv2.resize(thumb, (COARSE_PX, COARSE_PX), interpolation=cv2.INTER_AREA)
    return np.log(small / np.float32(255) + np.float32(0.05))


def _correlation(one: np.ndarray, other: np.ndarray, warp: np.ndarray) -> float:
    contrast, compared = local_contrast(one, COMPARED_SIGMA_PX), local_contrast(other, COMPARED_SIGMA_PX)
    moved, mask = (
        cv2.warpAffine(image, warp, other.shape, flags=cv2.WARP_INVERSE_MAP | interpolation)
        for image, interpolation in ((contrast, cv2.INTER_LINEAR), (body(one), cv2.INTER_NEAREST))
    )
    both = (mask & body(other)).astype(bool)
    patches = both.sum() / PATCH_PX
    if patches <= 3:
        return 0.0
    value = np.corrcoef(moved[both], compared[both])[0, 1]
    return _penalised(float(value), patches, both.size / PATCH_PX) if np.isfinite(value) else 0.0


def _penalised(correlation: float, observations: float, total: float) -> float:
    """Return a correlation reduced for its small number of observations.

    A narrow limb in a dark frame shows little more than two edges, which correlate with any other limb by chance. The
    reduction, in Fisher's z, is the difference between its one-sided 99 % bound and that of a whole image.
    """
    loss = ONE_SIDED_99 * (1 / math.sqrt(observations - 3) - 1 / math.sqrt(total - 3))
    return math.tanh(math.atanh(min(correlation, 1 - 1e-9)) - loss)


def _registered(fixed: np.ndarray, moving: np.ndarray, warp: np.ndarray) -> tuple[float, np.ndarray]:
    try:
        likeness, warp = cv2.findTransformECC(fixed, moving, warp, cv2.MOTION_AFFINE, _CRITERIA, None, 5)
    except cv2.error:  # the registration did not converge
        return 0.0, warp
    stretch = np.linalg.svd(warp[:, :2], compute_uv=False) if np.isfinite(warp).all() else np.zeros(2)
    plausible = stretch.min() > 1 / MAX_STRETCH and stretch.max() < MAX_STRETCH
    return (float(likeness) if plausible else 0.0), warp
