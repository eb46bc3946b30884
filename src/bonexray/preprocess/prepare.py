"""One array of what the networks see: square, min-max normalised, in the order of the manifest."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bonexray.config import Prepare
from bonexray.data.arrays import ArrayFile, rows_of
from bonexray.data.images import read_image, resized
from bonexray.progress import progress

IMAGES = Path("data/prepared/images.npy")
INDEX = Path("data/prepared/index.csv")


def prepare_image(pixels: np.ndarray, settings: Prepare) -> np.ndarray:
    """Min-max to [0, 1], then to a square; padding, where the aspect ratio is kept, is black.

    Args:
        pixels: float (height, width), not constant.
        settings: side in pixels, and whether to pad or to stretch.

    Returns:
        float32 (img_px, img_px) in [0, 1].
    """
    low, high = float(pixels.min()), float(pixels.max())
    pixels = ((pixels - low) / (high - low)).astype(np.float32)
    side = settings.img_px
    if settings.resize == "stretch":
        return resized(pixels, side, side)
    scale = side / max(pixels.shape)
    height, width = (min(side, max(1, round(length * scale))) for length in pixels.shape)
    square = np.zeros((side, side), np.float32)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = resized(pixels, height, width)
    return square


def prepare_images(source: Path, names: Sequence[str], target: Path, settings: Prepare) -> None:
    """Write the prepared images as one array and its index.

    Args:
        source: folder with `<id>.png`.
        names: ids, in the order of the array's rows.
        target: an existing folder; gets images.npy, float32 (images, img_px, img_px), and index.csv.
        settings: side in pixels, and whether to pad or to stretch.
    """
    shape = (len(names), settings.img_px, settings.img_px)
    with rows_of(target / IMAGES.name, shape) as append:
        for name in progress(names, "preparing", len(names)):
            append(prepare_image(read_image(source / f"{name}.png"), settings))
    lines = ["row,id", *(f"{row},{name}" for row, name in enumerate(names))]
    (target / INDEX.name).write_text("\n".join(lines) + "\n", encoding="utf-8")


def open_prepared(path: Path = IMAGES) -> ArrayFile:
    """The prepared images, float32 (images, img_px, img_px) in [0, 1], read from disk as they are used."""
    return ArrayFile(path)
