"""Thumbnails by which images are compared, their views, and the features that are compared."""

import cv2
import numpy as np

from bonexray.images.reading import resized

THUMB_PX = 128
ORIENTATIONS = 8  # four right angles, each also flipped
_MOVES = [*((degrees, 1.0) for degrees in range(-20, 21, 5)), (0, 1.06), (0, 0.94)]  # rotations and zooms
VIEWS = [(orientation, degrees, scale) for orientation in range(ORIENTATIONS) for degrees, scale in _MOVES]
UPRIGHT = VIEWS.index((0, 0, 1.0))  # unchanged
BLACK = 12  # of 255: background


def thumbnail(pixels: np.ndarray) -> np.ndarray:
    """Return uint8 (128, 128): the image stretched to a square and to the full range of values."""
    low, high = float(pixels.min()), float(pixels.max())
    square = resized(pixels.astype(np.float32), THUMB_PX, THUMB_PX)
    return np.rint((square - low) / ((high - low) or 1.0) * 255).clip(0, 255).astype(np.uint8)


def oriented(images: np.ndarray, orientation: int) -> np.ndarray:
    """Return images (images, side, side) in one of the eight orientations of a square."""
    rotated = np.rot90(images, orientation % 4, axes=(1, 2))
    return np.ascontiguousarray(rotated[:, :, ::-1] if orientation >= 4 else rotated)


def viewed(images: np.ndarray, view: int, border: int = cv2.BORDER_REPLICATE) -> np.ndarray:
    """Return images (images, side, side) in a view, by its number in `VIEWS`."""
    orientation, degrees, scale = VIEWS[view]
    rotated, warp = oriented(images, orientation), rotation_matrix(images.shape[1], degrees, scale)
    return np.stack([cv2.warpAffine(image, warp, image.shape, borderMode=border) for image in rotated])


def rotation_matrix(side_px: int, degrees: float, scale: float) -> np.ndarray:
    """Return the matrix (2, 3) of a rotation about the centre of a square."""
    return cv2.getRotationMatrix2D(((side_px - 1) / 2,) * 2, degrees, scale)


def body(thumb: np.ndarray, margin_px: int = 7) -> np.ndarray:
    """Return a uint8 mask of the thumbnail's shape: 1 on the body, away from the edges of field and image."""
    foreground = (cv2.GaussianBlur(thumb, (0, 0), 1.0) > BLACK).astype(np.uint8)
    return cv2.erode(foreground, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (margin_px, margin_px)), borderValue=0)


def local_contrast(thumb: np.ndarray, sigma_px: float) -> np.ndarray:
    """Return float32, the standardised difference from the surroundings, which does not depend on the exposure."""
    level = np.log(thumb / np.float32(255) + np.float32(0.03))
    detail = level - cv2.GaussianBlur(level, (0, 0), sigma_px)
    return detail / (np.sqrt(cv2.GaussianBlur(detail * detail, (0, 0), sigma_px)) + np.float32(0.02))
