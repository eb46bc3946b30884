"""Thumbnails by which images are compared, and the local contrast that is compared."""

import cv2
import numpy as np

from bonexray.images.reading import resized

THUMB_PX = 160
DARK = 0.12  # of the brightest pixels: background, or a frame around the image
SMOOTHING_PX = 1.0  # against noise
MARGIN_PX = 3  # at the edges of body and image, where neither is what it is in a copy


def thumbnail(pixels: np.ndarray) -> np.ndarray:
    """Return uint8 (160, 160): the image in the middle of a black square, stretched to the full range of values."""
    low, high = float(pixels.min()), float(pixels.max())
    scale = THUMB_PX / max(pixels.shape)
    height, width = (max(1, round(side * scale)) for side in pixels.shape)
    levels = (resized(pixels.astype(np.float32), height, width) - low) / ((high - low) or 1.0) * 255
    square = np.zeros((THUMB_PX, THUMB_PX), np.uint8)
    top, left = (THUMB_PX - height) // 2, (THUMB_PX - width) // 2
    square[top : top + height, left : left + width] = np.rint(levels).clip(0, 255)
    return square


def body(thumb: np.ndarray) -> np.ndarray:
    """Return a uint8 mask of the thumbnail's shape: 1 on the body, away from the edges of field and image."""
    below = np.cumsum(np.bincount(thumb.ravel(), minlength=256))
    bright = DARK * np.searchsorted(below, 0.99 * thumb.size)
    foreground = (cv2.GaussianBlur(thumb, (0, 0), SMOOTHING_PX) > bright).astype(np.uint8)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * MARGIN_PX + 1,) * 2)
    return cv2.erode(foreground, kernel, borderValue=0)


def local_contrast(thumb: np.ndarray, mask: np.ndarray, sigma_px: float) -> np.ndarray:
    """Return float32, the standardised difference from the surroundings within a mask; 0 outside.

    It depends neither on the exposure nor on what surrounds the mask, so that a frame or a cut changes nothing inside.
    """
    inside = mask.astype(np.float32)
    weight = np.maximum(cv2.GaussianBlur(inside, (0, 0), sigma_px), np.float32(1e-3))
    smooth = cv2.GaussianBlur(thumb.astype(np.float32), (0, 0), SMOOTHING_PX)
    level = np.log(smooth / np.float32(255) + np.float32(0.05))
    detail = (level - cv2.GaussianBlur(level * inside, (0, 0), sigma_px) / weight) * inside
    spread = np.sqrt(cv2.GaussianBlur(detail * detail, (0, 0), sigma_px) / weight)
    return detail / (spread + np.float32(0.03))
