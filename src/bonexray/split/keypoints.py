"""Describe an image by its keypoints, whose descriptions survive rotation, shift, crop and a change of exposure."""

from dataclasses import dataclass

import cv2
import numpy as np

from bonexray.split.thumbnails import THUMB_PX, body, local_contrast

MAX_KEYPOINTS = 110
CONTRAST_SIGMA_PX = 10.0
LEVELS_PER_CONTRAST = 40  # grey levels for one standard deviation
TERMS = 128  # of a descriptor: 4 x 4 cells with 8 directions each
_MIRRORED = np.arange(TERMS).reshape(4, 4, 8)[::-1][:, :, -np.arange(8) % 8].ravel()


@dataclass(frozen=True)
class Keypoints:
    """The keypoints of an image.

    Attributes:
        descriptors: uint8 (keypoints, 128): square roots, of length 255.
        places: float32 (keypoints, 4): x and y in the thumbnail, size in pixels and direction in degrees.
    """

    descriptors: np.ndarray
    places: np.ndarray

    def mirrored(self) -> "Keypoints":
        """Return the keypoints of the image flipped left to right, computed from these."""
        x, y, size, degrees = self.places.T
        places = np.stack([THUMB_PX - 1 - x, y, size, (180 - degrees) % 360], axis=1)
        return Keypoints(np.ascontiguousarray(self.descriptors[:, _MIRRORED]), places)


def keypoints_of(thumb: np.ndarray) -> Keypoints:
    """Return the strongest keypoints of the body.

    Args:
        thumb: uint8 (160, 160).

    References:
        Lowe, Distinctive image features from scale-invariant keypoints, IJCV 2004.
        Arandjelovic and Zisserman, Three things everyone should know to improve object retrieval, CVPR 2012.
    """
    mask = body(thumb)
    contrast = local_contrast(thumb, mask, CONTRAST_SIGMA_PX)
    picture = np.clip(128 + LEVELS_PER_CONTRAST * contrast, 0, 255).astype(np.uint8)
    sift = cv2.SIFT_create(MAX_KEYPOINTS, contrastThreshold=0.01, edgeThreshold=20)
    points, descriptors = sift.detectAndCompute(picture, mask)
    if not points:
        return Keypoints(np.empty((0, TERMS), np.uint8), np.empty((0, 4), np.float32))
    root = np.sqrt(descriptors / np.maximum(descriptors.sum(axis=1, keepdims=True), 1))
    places = np.array([(*point.pt, point.size, point.angle) for point in points], np.float32)
    return Keypoints(np.rint(255 * root).astype(np.uint8), places)
