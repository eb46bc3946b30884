"""A filter over many images at once, one process a core, and never twice over the same image."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from bonexray.compute import spread
from bonexray.config import Compute, Denoise
from bonexray.data.images import bounded, read_image, write_png16
from bonexray.preprocess.filters import filter_of
from bonexray.preprocess.store import Store, store_folder


def denoise_images(root: Path, images: dict[str, str], target: Path, settings: Denoise, compute: Compute) -> int:
    """Filter images in parallel and write each as `<id>.png` of 16 bits; what an earlier study did is taken from there.

    Args:
        root: the dataset's folder.
        images: id to path below the root.
        target: an existing folder.
        settings: filter, its parameters and the working size.
        compute: where the work is done.

    Returns:
        How many images were filtered anew.
    """
    store = Store(store_folder(), settings)
    items = [((root / path).resolve(), (target / f"{name}.png").resolve()) for name, path in images.items()]
    known = spread(_restore, [(*item, store) for item in items], "looking up", compute, threads=True)
    new = [item for item, found in zip(items, known, strict=True) if not found]
    if new:
        for _ in spread(_denoise, [(*item, store, settings) for item in new], settings.method, compute):
            pass
    return len(new)


def filtered_png(pixels: np.ndarray, settings: Denoise) -> bytes:
    """What the filter makes of an image (height, width) in [0, 1], as a PNG of 16 bits."""
    png = io.BytesIO()
    write_png16(png, filter_of(settings)(pixels))
    return png.getvalue()


def from_png(png: bytes) -> np.ndarray:
    """Such a PNG as float32 (height, width) in [0, 1]."""
    with Image.open(io.BytesIO(png)) as image:
        return np.asarray(image, dtype=np.float32) / np.iinfo(np.uint16).max


def as_stored(pixels: np.ndarray) -> np.ndarray:
    """What a PNG of 16 bits would give back of pixels (height, width) in [0, 1], without one being made."""
    levels = np.iinfo(np.uint16).max
    return np.rint(np.clip(pixels, 0, 1) * levels).astype(np.float32) / levels


def _restore(source: Path, target: Path, store: Store) -> bool:
    png = store.fetch(source.read_bytes())
    if png is not None:
        target.write_bytes(png)
    return png is not None


def _denoise(source: Path, target: Path, store: Store, settings: Denoise) -> None:
    png = filtered_png(bounded(read_image(source), settings.working_px), settings)
    store.keep(source.read_bytes(), png)
    target.write_bytes(png)
