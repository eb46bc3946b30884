"""Boxes in pixels, and how they move when an image is resized and placed in a square."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np


class Box(NamedTuple):
    """A rectangle in pixels from the upper left corner of an image; the edges lie between pixels.

    Attributes:
        left: of the left edge; 0 is the edge of the image.
        top: of the upper edge.
        right: of the right edge, at least `left`.
        bottom: of the lower edge, at least `top`.
    """

    left: float
    top: float
    right: float
    bottom: float


class Placement(NamedTuple):
    """Where a whole image lies in the square that the networks get, in whole pixels."""

    top: int
    left: int
    height: int
    width: int


def placed(box: Box, height: int, width: int, place: Placement) -> Box:
    """Return where a box lies after its image was resized and placed in a square.

    Sizes in between, such as the working size of a filter, do not matter: they scale the image as a whole.

    Args:
        box: in pixels of the image before.
        height: number of rows of the image before.
        width: number of its columns.
        place: of the image in the square.
    """
    across, down = place.width / width, place.height / height
    return Box(
        box.left * across + place.left,
        box.top * down + place.top,
        box.right * across + place.left,
        box.bottom * down + place.top,
    )


def inside(boxes: Iterable[Box], px: int) -> np.ndarray:
    """Return bool (px, px), True for pixels whose centre is in a box.

    A box too small to hold the centre of a pixel takes the pixel that its own centre is in.
    """
    centres, mask = np.arange(px) + 0.5, np.zeros((px, px), bool)
    for box in boxes:
        columns = _held(centres, box.left, box.right)
        rows = _held(centres, box.top, box.bottom)
        mask |= rows[:, None] & columns[None]
    return mask


def bounding_box(mask: np.ndarray) -> Box:
    """Return the smallest box that holds all True pixels of a mask (height, width), which has at least one."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    return Box(float(columns[0]), float(rows[0]), float(columns[-1]) + 1, float(rows[-1]) + 1)


def _held(centres: np.ndarray, low: float, high: float) -> np.ndarray:
    held = (centres > low) & (centres < high)
    return held if held.any() else np.floor(centres) == min(np.floor((low + high) / 2), len(centres) - 1)
