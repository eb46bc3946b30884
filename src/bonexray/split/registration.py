"""Lay one image over another, and say how alike they are where both show the body."""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from bonexray.split.keypoints import Keypoints
from bonexray.split.thumbnails import THUMB_PX, body, local_contrast

MIN_COSINE = 0.8  # of the descriptors of two keypoints that match
MIN_MATCHES = 5  # that agree about rotation, scale and shift
TOLERANCE_PX, TOLERANCE_SHARE = 5.0, 0.15  # of a match; the share is of its distance from the match that proposes
COS_TOLERANCE, TOLERANCE_SCALE = math.cos(math.radians(25)), 1.5
MIN_AFFINE_MATCHES = 8
MAX_SCALE, MAX_STRETCH = 2.0, 1.4
FIT_TOLERANCES_PX = (3.5, 2.5, 2.0)  # of the matches that determine the similarity, one after the other
SIGMA_PX = 2.0  # of the local contrast
PATCH_PX = 4 * math.pi * SIGMA_PX**2  # area over which the blur averages: one independent observation
ONE_SIDED_99 = 2.326  # standard normal


@dataclass(frozen=True)
class Overlay:
    """How one image lies over another, by their keypoints.

    Attributes:
        matches: number of keypoints that agree.
        warps: float32 (2, 3), from the first image, or its mirror image, to the second: a similarity, and an affine map
            if there are enough matches.
        mirrored: whether the first image is flipped left to right.
    """

    matches: int
    warps: tuple[np.ndarray, ...]
    mirrored: bool


def overlay_of(one: Keypoints, other: Keypoints) -> Overlay | None:
    """Return the overlay on which most keypoints agree; None if too few do."""
    overlays = [_overlay(points, other, mirrored) for points, mirrored in ((one, False), (one.mirrored(), True))]
    return max((found for found in overlays if found), key=lambda found: found.matches, default=None)


def likeness_of(one: np.ndarray, other: np.ndarray, overlay: Overlay) -> float:
    """Return the correlation of the local contrast of two images, laid over each other.

    Args:
        one: uint8 (160, 160).
        other: uint8 (160, 160).
        overlay: how they lie over each other.

    Returns:
        The correlation where both show the body, reduced if that is a small part; 0 if hardly any is.
    """
    one = np.ascontiguousarray(one[:, ::-1]) if overlay.mirrored else one
    masks = body(one), body(other)
    contrasts = [local_contrast(image, mask, SIGMA_PX) for image, mask in zip((one, other), masks, strict=True)]
    return max((_correlation(*contrasts, *masks, warp) for warp in overlay.warps if _is_plausible(warp)), default=0.0)


def _overlay(one: Keypoints, other: Keypoints, mirrored: bool) -> Overlay | None:
    rows, columns = _mutual(one.descriptors, other.descriptors)
    if len(rows) < MIN_MATCHES:
        return None
    start, end = one.places[rows], other.places[columns]
    agree = agreeing(start, end)
    if agree.sum() < MIN_MATCHES:
        return None
    return Overlay(int(agree.sum()), _warps(start[agree, :2], end[agree, :2]), mirrored)


def _mutual(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of descriptors (n, 128) and (m, 128) that are each other's nearest."""
    if min(len(one), len(other)) == 0:
        return np.empty(0, int), np.empty(0, int)
    cosine = (one.astype(np.float32) @ other.astype(np.float32).T) / np.float32(255**2)
    nearest = cosine.argmax(axis=1)
    rows = np.flatnonzero(cosine.argmax(axis=0)[nearest] == np.arange(len(one)))
    rows = rows[cosine[rows, nearest[rows]] > MIN_COSINE]
    return rows, nearest[rows]


def agreeing(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Return which matches agree with the rotation, scale and shift that most matches agree with.

    Every match proposes the rotation and scale of its keypoints, so that all proposals can be tried.

    Args:
        start: float32 (matches, 4), the places of keypoints in one image.
        end: float32 (matches, 4), those in the other.

    Returns:
        bool (matches,).
    """
    here, there = _complex(start), _complex(end)
    turn = end[:, 2] / start[:, 2] * np.exp(1j * np.deg2rad(end[:, 3] - start[:, 3]))
    away = here[None] - here[:, None]
    near = np.abs(turn[:, None] * away + there[:, None] - there) < TOLERANCE_PX + TOLERANCE_SHARE * np.abs(away)
    near &= _alike(turn[None] / turn[:, None])
    agree = near[near.sum(axis=1).argmax()]
    for _ in range(2):
        if agree.sum() < 3:
            break
        scale, shift = _similarity(here[agree], there[agree])
        agree = (np.abs(scale * here + shift - there) < TOLERANCE_PX) & _alike(turn / scale)
    return agree


def _complex(places: np.ndarray) -> np.ndarray:
    return places[:, 0] + 1j * places[:, 1]


def _alike(ratio: np.ndarray) -> np.ndarray:
    scale = np.abs(ratio)
    return (ratio.real > COS_TOLERANCE * scale) & (scale < TOLERANCE_SCALE) & (scale > 1 / TOLERANCE_SCALE)


def _warps(start: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return float32 (2, 3): the similarity that fits points (matches, 2) best, and the affine map if there are many."""
    here, there = _complex(start), _complex(end)
    close = np.ones(len(here), bool)
    for tolerance in (np.inf, *FIT_TOLERANCES_PX):
        scale, shift = _similarity(here[close], there[close])
        error = np.abs(scale * here + shift - there)
        if (error[close] < tolerance).sum() < MIN_MATCHES:
            break
        close &= error < tolerance
    scale, shift = _similarity(here[close], there[close])
    warps = [np.array([[scale.real, -scale.imag, shift.real], [scale.imag, scale.real, shift.imag]], np.float32)]
    if len(start) >= MIN_AFFINE_MATCHES:
        design = np.column_stack([start, np.ones(len(start))])
        warps.append(np.linalg.lstsq(design, end, rcond=None)[0].T.astype(np.float32))
    return tuple(warps)


def _similarity(here: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Return the factor and the shift, complex, that bring points, complex (points,), nearest to others."""
    return np.linalg.lstsq(np.stack([here, np.ones_like(here)], axis=1), there, rcond=None)[0]


def _is_plausible(warp: np.ndarray) -> bool:
    if not np.isfinite(warp).all():
        return False
    longest, shortest = np.linalg.svd(warp[:, :2], compute_uv=False)
    return shortest > 1 / MAX_SCALE and longest < MAX_SCALE and longest < MAX_STRETCH * shortest


def _correlation(
    one: np.ndarray, other: np.ndarray, mask_one: np.ndarray, mask_other: np.ndarray, warp: np.ndarray
) -> float:
    inverse = cv2.WARP_INVERSE_MAP
    moved = cv2.warpAffine(other, warp, one.shape, flags=inverse | cv2.INTER_LINEAR)
    mask = cv2.warpAffine(mask_other, warp, one.shape, flags=inverse | cv2.INTER_NEAREST)
    both = (mask & mask_one).astype(bool)
    patches = both.sum() / PATCH_PX
    if patches <= 4:
        return 0.0
    value = np.corrcoef(one[both], moved[both])[0, 1]
    return penalised(float(value), patches, THUMB_PX**2 / PATCH_PX) if np.isfinite(value) else 0.0


def penalised(correlation: float, observations: float, total: float) -> float:
    """Return a correlation reduced for its small number of observations.

    A narrow limb in a dark frame shows little more than two edges, which correlate with any other limb by chance. The
    reduction, in Fisher's z, is the difference between its one-sided 99 % bound and that of a whole image.
    """
    loss = ONE_SIDED_99 * (1 / math.sqrt(observations - 3) - 1 / math.sqrt(total - 3))
    return math.tanh(math.atanh(min(correlation, 1 - 1e-9)) - loss)
