"""Small pictures by which images are compared: how they are made and laid down, and what of them is compared."""

import cv2
import numpy as np

from bonexray.images.reading import resized

THUMB_PX = 128
ORIENTATIONS = 8  # four right angles, each also flipped
_MOVES = [*((degrees, 1.0) for degrees in range(-20, 21, 5)), (0, 1.06), (0, 0.94)]  # turned, and nearer or farther
VIEWS = [(orientation, degrees, scale) for orientation in range(ORIENTATIONS) for degrees, scale in _MOVES]
UPRIGHT = VIEWS.index((0, 0, 1.0))  # as it is
BLACK = 12  # of 255: nothing is shown


def thumbnail(pixels: np.ndarray) -> np.ndarray:
    """What an image is compared by: uint8 (128, 128), stretched to a square and over the whole range."""
    low, high = float(pixels.min()), float(pixels.max())
    square = resized(pixels.astype(np.float32), THUMB_PX, THUMB_PX)
    return np.rint((square - low) / ((high - low) or 1.0) * 255).clip(0, 255).astype(np.uint8)


def oriented(pictures: np.ndarray, orientation: int) -> np.ndarray:
    """Pictures (images, side, side) in one of the eight ways that a square can be laid down."""
    turned = np.rot90(pictures, orientation % 4, axes=(1, 2))
    return np.ascontiguousarray(turned[:, :, ::-1] if orientation >= 4 else turned)


def viewed(pictures: np.ndarray, view: int, border: int = cv2.BORDER_REPLICATE) -> np.ndarray:
    """Pictures (images, side, side) in one of the `VIEWS`, by its number."""
    orientation, degrees, scale = VIEWS[view]
    turned, warp = oriented(pictures, orientation), turn(pictures.shape[1], degrees, scale)
    return np.stack([cv2.warpAffine(picture, warp, picture.shape, borderMode=border) for picture in turned])


def turn(side_px: int, degrees: float, scale: float) -> np.ndarray:
    """About the centre of a square, as a matrix (2, 3)."""
    return cv2.getRotationMatrix2D(((side_px - 1) / 2,) * 2, degrees, scale)


def body(thumb: np.ndarray, margin_px: int = 7) -> np.ndarray:
    """1 where something is shown, away from the edge of the field and of the picture; uint8 as the picture."""
    shown = (cv2.GaussianBlur(thumb, (0, 0), 1.0) > BLACK).astype(np.uint8)
    return cv2.erode(shown, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (margin_px, margin_px)), borderValue=0)


def local_contrast(thumb: np.ndarray, sigma_px: float) -> np.ndarray:
    """Difference to the surroundings in units of their deviation, whatever the exposure; float32 as the picture."""
    level = np.log(thumb / np.float32(255) + np.float32(0.03))
    detail = level - cv2.GaussianBlur(level, (0, 0), sigma_px)
    return detail / (np.sqrt(cv2.GaussianBlur(detail * detail, (0, 0), sigma_px)) + np.float32(0.02))
