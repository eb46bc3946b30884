"""An X-ray image and its metadata, and the limits that hold for every file format."""

from dataclasses import dataclass

import numpy as np

MAX_PIXELS = 100_000_000  # checked in the header, before a decompression bomb is decoded
LUMINANCE = np.array([0.299, 0.587, 0.114])  # of red, green and blue, ITU-R BT.601


class UnreadableImage(ValueError):
    """A file without a usable image; the message is the reason."""


@dataclass(frozen=True, eq=False)
class Radiograph:
    """An upright grayscale X-ray image and its metadata.

    Attributes:
        pixels: float32 (height, width) in [0, 1].
        file_format: such as PNG, JPEG, TIFF or DICOM.
        mode: Pillow's mode of the stored image, or the photometric interpretation of a DICOM file.
        patient: a key shared by images of the same patient; None if the file names none or no salt is given. The ID
            is not kept, and cannot be recovered from the key without the salt.
        remarks: what was malformed in the file and what was assumed instead; they quote no value of the file.
    """

    pixels: np.ndarray
    file_format: str
    mode: str
    patient: str | None
    remarks: tuple[str, ...] = ()


def require_bounded(width: int, height: int) -> None:
    """Refuse an image whose header gives too large a size, before its pixels are decoded.

    Raises:
        UnreadableImage: more than `MAX_PIXELS`.
    """
    if width * height > MAX_PIXELS:
        raise UnreadableImage(f"{width} x {height} px, more than {MAX_PIXELS} pixels")
