"""Read the kinds of TIFF that Pillow does not open or decodes wrongly: separate planes, several deep samples, BigTIFF."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image
from tifffile import PHOTOMETRIC, TiffFile, TiffPage

from bonexray.images.radiograph import LUMINANCE, UnreadableImage, require_bounded

_BITS, _COMPRESSION, _PHOTOMETRY, _SAMPLES, _PLANES, _FORMAT = 258, 259, 262, 277, 284, 339  # tags of TIFF 6.0
_SEPARATE, _SIGNED, _UNCOMPRESSED = 2, 2, 1  # their values
_GRAY = (PHOTOMETRIC.MINISWHITE, PHOTOMETRIC.MINISBLACK)
_ORIENTATION = 274
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_DEEPEST = 65_535
_ALPHA = 2  # the kind of extra sample that is not multiplied into the others yet


def is_tiff(path: Path | str) -> bool:
    """Return whether a file begins as a TIFF or BigTIFF."""
    with Path(path).open("rb") as stream:
        return stream.read(4) in _MAGIC


def pillow_reads(tags: dict) -> bool:
    """Return whether Pillow decodes a TIFF as it should, from its tags.

    Pillow mixes up uncompressed planes of 16 bits, and a gray plane with an alpha plane; it takes the first of many gray
    samples, and signed bytes for unsigned ones.
    """
    samples, bits = tags.get(_SAMPLES, 1), max(tags.get(_BITS, (1,)))
    stack = samples > 2 and tags.get(_PHOTOMETRY) in _GRAY
    plain = tags.get(_COMPRESSION, _UNCOMPRESSED) == _UNCOMPRESSED
    planes = tags.get(_PLANES) == _SEPARATE and (samples == 2 or (samples > 2 and bits > 8 and plain))
    return not (stack or planes or (_SIGNED in tags.get(_FORMAT, ()) and bits <= 8))


def black_and_white(tags: dict, mode: str) -> tuple[int, int]:
    """Return the values of black and white for pixels that Pillow gives in more than 8 bits or as real numbers.

    Args:
        tags: of a TIFF; of another format, none.
        mode: Pillow's mode of the image.
    """
    bits = min(16, tags.get(_BITS, (16,))[0]) - (_SIGNED in tags.get(_FORMAT, ()))
    largest = 1 if mode == "F" else 2**bits - 1
    # Pillow inverts images whose white is 0 only at 8 bits.
    return (largest, 0) if tags.get(_PHOTOMETRY) == PHOTOMETRIC.MINISWHITE else (0, largest)


def require_sound_tiff(path: Path | str) -> None:
    """Refuse a TIFF with a damaged directory, of which Pillow takes what it can.

    Raises:
        UnreadableImage: tifffile reports an error.
    """
    with _strict(), TiffFile(path) as file:
        _ = file.pages[0]


def read_tiff(path: Path | str) -> tuple[np.ndarray, str]:
    """Read a TIFF of one page, gray or RGB.

    Returns:
        float32 (height, width) in [0, 1], upright, and the kind of its pixels.

    Raises:
        UnreadableImage: it is another kind, damaged, or compressed in a way that is not read here.
    """
    with _strict(), TiffFile(path) as file:
        if len(file.pages) != 1:
            raise UnreadableImage(f"{len(file.pages)} pages or frames, one expected")
        page = file.pages[0]
        require_bounded(page.imagewidth, page.imagelength)
        kind = _kind(page)
        try:
            stored = page.asarray()
        except ValueError:
            how = page.compression.name.replace("_", " ")
            raise UnreadableImage(f"TIFF {kind} compressed by {how}, which is not read; save it uncompressed") from None
        if stored.ndim != len(page.axes) or page.axes not in ("YX", "YXS", "SYX"):
            raise UnreadableImage(f"TIFF {kind} with the axes {page.axes}; one picture expected")
        samples = np.moveaxis(stored, 0, -1) if page.axes == "SYX" else stored.reshape(*stored.shape[:2], -1)
        pixels = Image.fromarray(_gray(_scaled(samples, page), page).astype(np.float32))
        turn = _UPRIGHT.get(page.tags.valueof(_ORIENTATION, 1))
        return np.asarray(pixels if turn is None else pixels.transpose(turn)), kind


def _kind(page: TiffPage) -> str:
    kind = f"{PHOTOMETRIC(page.photometric).name};{page.bitspersample}"
    if page.photometric not in (*_GRAY, PHOTOMETRIC.RGB):
        raise UnreadableImage(f"TIFF {kind}, gray or RGB expected; save it as one of these")
    if page.photometric in _GRAY and page.samplesperpixel > 2:
        raise UnreadableImage(f"TIFF {kind} of {page.samplesperpixel} gray samples, one expected")
    return kind


def _scaled(samples: np.ndarray, page: TiffPage) -> np.ndarray:
    """Return samples in [0, 1]; integers of more than 16 bits may use 16."""
    if samples.dtype.kind == "f":
        samples, largest = samples.astype(np.float64), 1.0
    elif samples.dtype.kind in "iu":
        signed = samples.dtype.kind == "i"
        largest = min(_DEEPEST, 2 ** (page.bitspersample - signed) - 1)
    else:
        raise UnreadableImage(f"pixels of type {samples.dtype}")
    low, high = samples.min(), samples.max()
    if not (np.isfinite([low, high]).all() and low >= 0 and high <= largest):
        raise UnreadableImage(f"values from {low} to {high}, beyond 0 to {largest:g}")
    return samples / largest


def _gray(samples: np.ndarray, page: TiffPage) -> np.ndarray:
    """Return samples (height, width, n) as (height, width): luminance over black where they are transparent."""
    colours = 3 if page.photometric == PHOTOMETRIC.RGB else 1
    gray = samples[..., :3] @ LUMINANCE if colours == 3 else samples[..., 0]
    if page.photometric == PHOTOMETRIC.MINISWHITE:
        gray = 1 - gray
    extra = list(page.extrasamples)
    return gray * samples[..., colours + extra.index(_ALPHA)] if _ALPHA in extra else gray


@contextmanager
def _strict() -> Iterator[None]:
    """Refuse an image if tifffile reports an error in its log, which it does instead of raising one."""
    reports, here, log = [], threading.get_ident(), logging.getLogger("tifffile")

    class Reports(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.thread == here and record.levelno >= logging.ERROR:
                reports.append(record)

    handler = Reports()
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
    if reports:
        raise UnreadableImage("a damaged TIFF: its reader reports an error")
