"""Normalise images and resize them to squares, in the order of the manifest."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bonexray.compute import Compute, parallel_map
from bonexray.data.arrays import rows_of
from bonexray.data.paths import IMAGES
from bonexray.images.reading import read_image, resized
from bonexray.prepare.settings import Prepare
from bonexray.regions.geometry import Placement


def prepare_image(pixels: np.ndarray, settings: Prepare) -> np.ndarray:
    """Normalise an image to [0, 1] by its minimum and maximum, and resize it to a square; padding is black.

    Args:
        pixels: float (height, width); a constant image becomes black.
        settings: side in pixels, and whether to pad or stretch.

    Returns:
        float32 (img_px, img_px) in [0, 1].
    """
    low, high = float(pixels.min()), float(pixels.max())
    pixels = ((pixels - low) / ((high - low) or 1.0)).astype(np.float32)
    side, (top, left, height, width) = settings.img_px, placement(*pixels.shape, settings)
    if (height, width) == (side, side):
        return resized(pixels, side, side)
    square = np.zeros((side, side), np.float32)
    square[top : top + height, left : left + width] = resized(pixels, height, width)
    return square


def placement(height: int, width: int, settings: Prepare) -> Placement:
    """Return where an image of this size lies in the square."""
    side = settings.img_px
    if settings.resize == "stretch":
        return Placement(0, 0, side, side)
    scale = side / max(height, width)
    height, width = (min(side, max(1, round(length * scale))) for length in (height, width))
    return Placement((side - height) // 2, (side - width) // 2, height, width)


def prepare_images(source: Path, ids: Sequence[str], target: Path, settings: Prepare, compute: Compute) -> None:
    """Write the prepared images as one array with an index.

    Args:
        source: folder with `<id>.png`.
        ids: of the images, in the order of the array's rows.
        target: existing folder for images.npy, float32 (images, img_px, img_px), and index.csv.
        settings: side in pixels, and whether to pad or stretch.
        compute: where the work runs.
    """
    items = [((source / f"{image_id}.png").resolve(), settings) for image_id in ids]
    shape = (len(ids), settings.img_px, settings.img_px)
    with rows_of(target / IMAGES.name, shape) as append:
        for square in parallel_map(_prepare_file, items, "preparing", compute, threads=True):
            append(square)
    lines = ["row,id", *(f"{row},{image_id}" for row, image_id in enumerate(ids))]
    (target / "index.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _prepare_file(path: Path, settings: Prepare) -> np.ndarray:
    return prepare_image(read_image(path), settings)
