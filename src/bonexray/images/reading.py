"""Read X-ray files as grayscale arrays, and write arrays losslessly."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from bonexray.images.dicom import read_dicom
from bonexray.images.dicom_file import is_dicom
from bonexray.images.radiograph import Radiograph, UnreadableImage, require_bounded
from bonexray.images.silence import quiet
from bonexray.images.tiff import black_and_white, is_tiff, pillow_reads, read_tiff, require_sound_tiff
from bonexray.images.unknown import looks_like

_UINT16_MAX = 65_535
_GIT_LFS = b"version https://git-lfs"
# Those that begin with a sign of their own: Pillow takes any bytes for some of the others.
_FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
_PAGED = ("TIFF", "GIF", "PNG", "WEBP")  # further images in a JPEG are previews


def read_image(path: Path | str) -> np.ndarray:
    """Return the pixels of an X-ray file, float32 (height, width) in [0, 1]; see `read_radiograph`."""
    return read_radiograph(path).pixels


def read_radiograph(path: Path | str, salt: bytes | None = None) -> Radiograph:
    """Read an X-ray file as an upright grayscale image with its metadata.

    Args:
        path: of a DICOM file, or of a PNG, JPEG, JPEG 2000, TIFF, BMP, WebP, AVIF, GIF or PPM with 8 or 16 bits: gray,
            colour, palette or with alpha. The format is recognised by the content, not by the suffix.
        salt: turns the patient of a DICOM file into a key; keys of different salts cannot be compared.

    Returns:
        The radiograph; 1 stands for the largest value of the format, or the top of the window of a DICOM file.

    Raises:
        UnreadableImage: the file is empty, truncated, too large or not an image, or holds several images or a constant
            one.
    """
    try:
        _require_content(Path(path))
        radiograph = read_dicom(path, salt) if is_dicom(path) else _read_picture(path)
    except UnreadableImage:
        raise
    except Exception as error:  # Pillow's decoders raise many kinds of errors on invalid bytes
        raise UnreadableImage(_reason(path, error)) from None
    if radiograph.pixels.min() == radiograph.pixels.max():
        raise UnreadableImage("every pixel has the same value")
    return radiograph


def write_png16(path: Path | str, pixels: np.ndarray) -> None:
    """Write pixels (height, width) as a 16-bit grayscale PNG; values outside [0, 1] are clipped."""
    levels = np.rint(np.clip(pixels, 0, 1) * _UINT16_MAX).astype(np.uint16)
    Image.fromarray(levels).save(path, format="PNG", compress_level=1)


def resized(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return float32 pixels resized to (height, width) by an antialiased triangle filter, which cannot overshoot."""
    if pixels.shape == (height, width):
        return pixels
    image = Image.fromarray(pixels.astype(np.float32))
    return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))


def bounded(pixels: np.ndarray, longer_px: int) -> np.ndarray:
    """Return pixels shrunk so that the longer side is at most `longer_px`; the aspect ratio is kept."""
    scale = longer_px / max(pixels.shape)
    if scale >= 1:
        return pixels
    height, width = (max(1, round(side * scale)) for side in pixels.shape)
    return resized(pixels, height, width)


def _require_content(path: Path) -> None:
    if not path.exists():
        raise UnreadableImage("no such file, or a broken link")
    if not path.is_file():  # reading a pipe would block
        raise UnreadableImage("not a file")
    with path.open("rb") as stream:
        head = stream.read(len(_GIT_LFS))
    if not head:
        raise UnreadableImage("empty file")
    if head == _GIT_LFS:
        raise UnreadableImage("a Git LFS pointer instead of the image; run `git lfs pull`")


def _read_picture(path: Path | str) -> Radiograph:
    try:
        return _read_with_pillow(path)
    except UnidentifiedImageError:
        if is_tiff(path):
            return Radiograph(*_tiff(path))
        raise UnreadableImage(looks_like(path)) from None


def _read_with_pillow(path: Path | str) -> Radiograph:
    with quiet(), Image.open(path, formats=_FORMATS) as image:
        require_bounded(image.width, image.height)
        if image.format in _PAGED and (pages := getattr(image, "n_frames", 1)) > 1:
            raise UnreadableImage(f"{pages} pages or frames, one expected")
        if image.format == "TIFF" and not pillow_reads(image.tag_v2):
            return Radiograph(*_tiff(path))
        _require_sound(path, str(image.format))
        ends = black_and_white(getattr(image, "tag_v2", {}) if image.format == "TIFF" else {}, image.mode)
        pixels = _grayscale(ImageOps.exif_transpose(image), *ends)
        return Radiograph(pixels, str(image.format), image.mode, None)


def _tiff(path: Path | str) -> tuple[np.ndarray, str, str, None]:
    with quiet():
        pixels, mode = read_tiff(path)
    return pixels, "TIFF", mode, None


def _require_sound(path: Path | str, file_format: str) -> None:
    """Refuse a PNG whose checksums are wrong and a TIFF whose tags are; Pillow decodes them all the same."""
    if file_format == "TIFF":
        require_sound_tiff(path)
    if file_format == "PNG":
        with Image.open(path, formats=(file_format,)) as image:
            image.verify()


def _grayscale(image: Image.Image, black: int, white: int) -> np.ndarray:
    """Return float32 (height, width) in [0, 1]; `black` and `white` do not apply to 8 bits."""
    if image.mode.startswith("I"):
        levels = np.asarray(image).astype(np.int64)
        if levels.min() < 0 or levels.max() > max(black, white):
            raise UnreadableImage(f"integers below 0 or above {max(black, white)}, beyond 16 bits")
        return ((levels - black) / (white - black)).astype(np.float32)
    if image.mode == "F":
        pixels = np.asarray(image, dtype=np.float32)
        if not (np.isfinite(pixels).all() and pixels.min() >= 0 and pixels.max() <= 1):
            raise UnreadableImage("floating-point values outside [0, 1]")
        return (pixels - black) / np.float32(white - black)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "black"), image)
    return np.asarray(image.convert("L"), dtype=np.float32) / 255


def _reason(path: Path | str, error: Exception) -> str:
    if isinstance(error, PermissionError):
        return "no permission to read the file"
    # Pillow quotes the full path, which differs between machines.
    return " ".join(str(error).replace(repr(str(path)), "the file").split()) or type(error).__name__
