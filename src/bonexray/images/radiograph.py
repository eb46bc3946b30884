"""What a read X-ray file gives, whatever its format, and what is refused in every format."""

from dataclasses import dataclass

import numpy as np

MAX_PIXELS = 100_000_000  # refused from the header alone, before a decompression bomb unfolds


class UnreadableImage(ValueError):
    """The file holds no image that can be used; the message is the reason."""


@dataclass(frozen=True, eq=False)
class Radiograph:
    """One X-ray, upright and grayscale, and what its file says about it.

    Attributes:
        pixels: float32 (height, width) in [0, 1].
        file_format: PNG, JPEG, TIFF, DICOM and so on.
        mode: Pillow's mode of the file as it is stored, or the photometric interpretation of a DICOM file.
        patient: a key that two images share when their files name the same patient, None where they name none or no
            salt was given. The patient's ID is not kept, and cannot be had back from the key without the salt.
    """

    pixels: np.ndarray
    file_format: str
    mode: str
    patient: str | None


def require_bounded(width: int, height: int) -> None:
    """Refuse an image by the size in its header, before its pixels are decoded.

    Raises:
        UnreadableImage: more than `MAX_PIXELS`.
    """
    if width * height > MAX_PIXELS:
        raise UnreadableImage(f"{width} x {height} px, more than {MAX_PIXELS} pixels")
