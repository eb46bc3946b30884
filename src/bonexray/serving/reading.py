"""Preprocessing of one X-ray: read, filter, round and resize it as the stages of the study do.

This module does not import Keras, so that worker processes start fast.
"""

import io
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from bonexray.denoise.filters import filter_of
from bonexray.denoise.settings import Denoise
from bonexray.denoise.store import as_stored
from bonexray.images.radiograph import UnreadableImage, require_bounded
from bonexray.images.reading import bounded, read_image
from bonexray.prepare.resizing import prepare_image
from bonexray.prepare.settings import Prepare

MEMORY = Path("/dev/shm")  # on Linux
XRay = Path | str | bytes | np.ndarray


class Reading:
    """Preprocessing of X-rays as in the stages of a study.

    Args:
        denoise: the filter and working size of the study.
        prepare: the image size and resizing of the study.
    """

    def __init__(self, denoise: Denoise, prepare: Prepare) -> None:
        self._working_px, self._prepare = denoise.working_px, prepare
        self._filter = filter_of(denoise)  # once, because it checks its options

    def prepared(self, source: XRay) -> np.ndarray:
        """Return the network's input for an X-ray.

        Args:
            source: a file's path, a file's bytes, or pixels: uint8 or uint16 (height, width), uint8 (height, width, 3 or
                4) with the levels that a file would store, or float (height, width) in [0, 1].

        Returns:
            float32 (img_px, img_px) in [0, 1].

        Raises:
            UnreadableImage: the study would have quarantined it; the message is the reason.
        """
        # Rounded to 16 bits, as between the stages.
        filtered = as_stored(self._filter(bounded(_pixels(source), self._working_px)))
        if filtered.min() == filtered.max():
            raise UnreadableImage("the filter leaves no contrast")
        return prepare_image(filtered, self._prepare)

    def __call__(self, source: XRay) -> np.ndarray | str:
        """Return what `prepared` returns, or the reason why the X-ray is unreadable."""
        try:
            return self.prepared(source)
        except UnreadableImage as error:
            return str(error)


def _pixels(source: XRay) -> np.ndarray:
    if isinstance(source, np.ndarray):
        return _checked(source) if source.dtype.kind == "f" else _from_bytes(_png_of(source))
    if isinstance(source, bytes | bytearray | memoryview):
        return _from_bytes(bytes(source))
    return read_image(source)


def _from_bytes(content: bytes) -> np.ndarray:
    """Read the content of a file; the readers of all formats take paths."""
    with tempfile.NamedTemporaryFile(dir=_folder_in_memory(len(content))) as stream:
        stream.write(content)
        stream.flush()
        return read_image(stream.name)


def _folder_in_memory(size: int) -> Path | None:
    """Return a folder that is not on a disk, if there is one with room for a file; X-rays are private."""
    usable = MEMORY.is_dir() and os.access(MEMORY, os.W_OK)
    return MEMORY if usable and shutil.disk_usage(MEMORY).free > size else None


def _png_of(levels: np.ndarray) -> bytes:
    deep, flat = levels.dtype == np.uint16, levels.ndim == 2
    coloured = levels.ndim == 3 and levels.shape[-1] in (3, 4)
    if 0 in levels.shape or not ((deep and flat) or (levels.dtype == np.uint8 and (flat or coloured))):
        raise UnreadableImage(
            f"{levels.dtype} {levels.shape}; float (height, width) in [0, 1], uint8 or uint16 (height, width), or uint8 "
            "(height, width, 3) expected"
        )
    require_bounded(levels.shape[1], levels.shape[0])
    png = io.BytesIO()
    Image.fromarray(levels).save(png, format="PNG", compress_level=1)
    return png.getvalue()


def _checked(pixels: np.ndarray) -> np.ndarray:
    if pixels.ndim != 2 or 0 in pixels.shape:
        raise UnreadableImage(f"pixels of shape {pixels.shape}, (height, width) expected")
    require_bounded(pixels.shape[1], pixels.shape[0])
    if not (np.isfinite(pixels).all() and pixels.min() >= 0 and pixels.max() <= 1):
        raise UnreadableImage("floating-point values outside [0, 1]")
    if pixels.min() == pixels.max():
        raise UnreadableImage("every pixel has the same value")
    return pixels.astype(np.float32)
