"""Any X-ray file into a grayscale array, and an array into a lossless file."""

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

MAX_PIXELS = 100_000_000  # refused from the header alone, before a decompression bomb unfolds
_UINT16_MAX = 65_535


class UnreadableImage(ValueError):
    """The file holds no image that can be used; the message is the reason."""


def read_image(path: Path | str) -> np.ndarray:
    """Read an image file as grayscale, upright.

    Args:
        path: a file in any format Pillow knows, of 8 or 16 bits, in gray, colour, palette or with alpha.

    Returns:
        float32 (height, width) in [0, 1], where 1 is the largest value the format can hold.

    Raises:
        UnreadableImage: empty, truncated, no image, too large, or every pixel has the same value.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # MAX_PIXELS is the bound
            with Image.open(path) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise UnreadableImage(f"{image.width} x {image.height} px, more than {MAX_PIXELS} pixels")
                pixels = _grayscale(ImageOps.exif_transpose(image))
    except UnreadableImage:
        raise
    except Exception as error:  # Pillow's decoders raise nearly anything on bytes they do not understand
        raise UnreadableImage(_reason(path, error)) from None
    if pixels.min() == pixels.max():
        raise UnreadableImage("every pixel has the same value")
    return pixels


def write_png16(path: Path | str, pixels: np.ndarray) -> None:
    """Write (height, width) in [0, 1] as a 16-bit grayscale PNG; what lies outside is clipped."""
    levels = np.rint(np.clip(pixels, 0, 1) * _UINT16_MAX).astype(np.uint16)
    Image.fromarray(levels).save(path, format="PNG", compress_level=1)


def resized(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize float32 (h, w) to (height, width) with an antialiased triangle filter, which cannot overshoot."""
    if pixels.shape == (height, width):
        return pixels
    image = Image.fromarray(pixels.astype(np.float32))
    return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))


def bounded(pixels: np.ndarray, longer_px: int) -> np.ndarray:
    """Bring the longer side down to `longer_px`, keeping the aspect ratio; never enlarge."""
    scale = longer_px / max(pixels.shape)
    if scale >= 1:
        return pixels
    height, width = (max(1, round(side * scale)) for side in pixels.shape)
    return resized(pixels, height, width)


def _grayscale(image: Image.Image) -> np.ndarray:
    if image.mode.startswith("I"):
        levels = np.asarray(image).astype(np.int64)
        if levels.min() < 0 or levels.max() > _UINT16_MAX:
            raise UnreadableImage(f"values from {levels.min()} to {levels.max()}, beyond 16 bits")
        return (levels / _UINT16_MAX).astype(np.float32)
    if image.mode == "F":
        pixels = np.asarray(image, dtype=np.float32)
        if not (np.isfinite(pixels).all() and pixels.min() >= 0 and pixels.max() <= 1):
            raise UnreadableImage("floating-point values outside [0, 1]")
        return pixels
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "black"), image)
    return np.asarray(image.convert("L"), dtype=np.float32) / 255


def _reason(path: Path | str, error: Exception) -> str:
    if Path(path).is_file() and Path(path).stat().st_size == 0:
        return "empty file"
    if isinstance(error, FileNotFoundError):
        return "no such file, or a link to nothing"
    # Pillow names the file's full path, which would differ from machine to machine.
    return " ".join(str(error).replace(repr(str(path)), "the file").split()) or type(error).__name__
