"""Read DICOM files as grayscale, and turn their patient into a key; no other value leaves this module.

Only the elements listed here and in the modules for pixels and display are read. Errors and remarks have messages of
our own, because pydicom's quote values of the file.
"""

import hmac
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from pydicom import uid
from pydicom.dataset import Dataset

from bonexray.images.dicom_display import DISPLAY, MEASURES, displayed, numbers
from bonexray.images.dicom_file import DicomFile
from bonexray.images.dicom_pixels import PIXEL_TAGS, decoded, palette_colours, require_decoder, stored_bits
from bonexray.images.radiograph import LUMINANCE, Radiograph, UnreadableImage, require_bounded
from bonexray.images.silence import quiet

GRAY, PALETTE = ("MONOCHROME1", "MONOCHROME2"), "PALETTE COLOR"
COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
TRANSFER_SYNTAX = "the transfer syntax is missing or wrong; the pixels are read as what they are"
_ALLOCATED = (1, 8, 16, 32, 64)
_NEEDED = ("Rows", "Columns", "BitsAllocated")
_USUAL: dict[str, Callable[[Dataset], int | str]] = {  # of elements that old or careless files lack, in this order
    "SamplesPerPixel": lambda header: 1,
    "PhotometricInterpretation": lambda header: "MONOCHROME2" if header.SamplesPerPixel == 1 else "RGB",
    "BitsStored": lambda header: header.BitsAllocated,
    "HighBit": lambda header: header.BitsStored - 1,
    "PixelRepresentation": lambda header: 0,
}
_NUMBERS = (*_NEEDED, "SamplesPerPixel", "BitsStored", "HighBit", "PixelRepresentation", "NumberOfFrames")
_TEXT = ("SpecificCharacterSet", "SOPClassUID", "PhotometricInterpretation", "PatientID", "IssuerOfPatientID")
_TAGS = [*_NUMBERS, *DISPLAY, *_TEXT]


def read_dicom(path: Path | str, salt: bytes | None) -> Radiograph:
    """Read a DICOM file of one frame as it should be displayed.

    Args:
        path: of a file that `is_dicom`.
        salt: of the patient's key; None for no key.

    Returns:
        The radiograph. 1 stands for the top of the window or lookup table if there is one that shows something, else
        for the largest value of Bits Stored after rescaling. MONOCHROME1 is inverted; colour becomes luminance; padding
        is black.

    Raises:
        UnreadableImage: the file has no single usable frame; the message holds no information on the patient.
    """
    with quiet(), Path(path).open("rb") as stream:
        try:
            return _read(DicomFile(stream), salt)
        except (UnreadableImage, MemoryError):
            raise
        except Exception:  # messages of pydicom quote the file
            raise UnreadableImage("DICOM that cannot be read") from None


def _read(file: DicomFile, salt: bytes | None) -> Radiograph:
    given = file.syntax
    header, malformed = _header(file)
    assumed = _complete(header, file.sop_class)
    mode = _require_one_frame(header)
    require_decoder(file.syntax, header.BitsStored)
    data = _with_pixels(file, header)
    raw, syntax = decoded(data, file.syntax)
    remarks = [TRANSFER_SYNTAX] if syntax != (given or "") else []
    if assumed and "PixelData" in data:  # real numbers have no bits stored
        remarks.append(f"{', '.join(assumed)} missing or impossible; the usual values are assumed")
    if mode in GRAY:
        pixels, more = displayed(raw, header, malformed)
        remarks += more
    else:
        colours = (
            palette_colours(raw, data) if mode == PALETTE else stored_bits(raw, header) / (2**header.BitsStored - 1)
        )
        pixels = colours @ LUMINANCE
    patient = _patient_key(header, salt)
    return Radiograph(np.clip(pixels, 0, 1).astype(np.float32), "DICOM", mode, patient, tuple(remarks))


def _header(file: DicomFile) -> tuple[Dataset, set[str]]:
    """Return the elements that are needed, converted to their types, and the names of those that cannot be."""
    try:
        raw = file.header(_TAGS)
    except Exception:
        raise UnreadableImage("DICOM whose header cannot be read") from None
    header, malformed = Dataset(), set()
    header.set_original_encoding(*raw.original_encoding)
    for name in _TAGS:
        try:
            if name not in raw or raw[name].is_empty:  # an empty element counts as missing
                continue
            element = raw[name]
            if name in _NUMBERS:
                element.value = int(element.value)
            elif name in MEASURES:
                numbers(element.value)
            header[name] = element
        except Exception:
            malformed.add(name)
    if unreadable := [name for name in _NUMBERS if name in malformed and name not in _USUAL]:
        raise UnreadableImage(f"DICOM whose {', '.join(unreadable)} cannot be read")
    return header, malformed


def _complete(header: Dataset, sop_class: str) -> list[str]:
    """Give missing numbers on the pixels their usual values; return their names."""
    if missing := [name for name in _NEEDED if name not in header]:
        kind = uid.UID(header.get("SOPClassUID") or sop_class)
        if len(missing) == len(_NEEDED) and kind.name != kind:  # else the name is text of the file
            raise UnreadableImage(f"DICOM without an image: {kind.name}")
        raise UnreadableImage(f"DICOM without {', '.join(missing)}")
    assumed = []
    for name, usual in _USUAL.items():
        value = header.get(name)
        possible = name != "HighBit" or header.BitsStored <= (value or 0) + 1 <= header.BitsAllocated
        if value is None or not possible:
            setattr(header, name, usual(header))
            assumed.append(name)
    return assumed


def _require_one_frame(header: Dataset) -> str:
    """Refuse anything but one frame of whole bits; return the photometric interpretation."""
    if min(header.Rows, header.Columns) < 1:
        raise UnreadableImage(f"DICOM of {header.Columns} x {header.Rows} px")
    require_bounded(header.Columns, header.Rows)
    if (frames := header.get("NumberOfFrames") or 1) != 1:
        raise UnreadableImage(f"{frames} frames, one expected")
    if header.BitsAllocated not in _ALLOCATED or not 1 <= header.BitsStored <= header.BitsAllocated:
        raise UnreadableImage(
            f"DICOM of {header.BitsStored} bits in {header.BitsAllocated}; at most all bits of 1, 8, 16, 32 or 64 expected"
        )
    mode = header.PhotometricInterpretation
    if mode not in (*GRAY, PALETTE, *COLOUR):
        raise UnreadableImage("DICOM whose photometric interpretation is not gray, palette, RGB or YBR")
    if (samples := header.SamplesPerPixel) != (3 if mode in COLOUR else 1):
        raise UnreadableImage(
            f"DICOM of {samples} samples for each pixel, unlike its photometric interpretation {mode}"
        )
    return str(mode)


def _with_pixels(file: DicomFile, header: Dataset) -> Dataset:
    """Return the elements that decoding needs."""
    pixel_bytes = header.Rows * header.Columns * header.SamplesPerPixel * max(1, header.BitsAllocated // 8)
    try:
        data = file.whole(PIXEL_TAGS, pixel_bytes)
    except Exception:
        raise UnreadableImage("DICOM whose pixel data cannot be read") from None
    for name in (*_NEEDED, *_USUAL):
        data[name] = header[name]
    if "PlanarConfiguration" not in data:
        data.PlanarConfiguration = 0
    return data


def _patient_key(header: Dataset, salt: bytes | None) -> str | None:
    patient, issuer = (str(header.get(name) or "").strip("\0 ") for name in ("PatientID", "IssuerOfPatientID"))
    if salt is None or not patient:
        return None
    return hmac.new(salt, json.dumps([patient, issuer]).encode(), "sha256").hexdigest()
