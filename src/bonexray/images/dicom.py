"""Read DICOM files as grayscale, and turn their patient into a key; no other value leaves this module.

Only the elements listed here are read. Errors have messages of our own, because pydicom's quote values of the file. The
steps follow DICOM Part 4, Annex N: modality, then window, then display.
"""

import hmac
import json
from pathlib import Path

import numpy as np
import pydicom
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.pixels import apply_modality_lut, apply_windowing, get_decoder, pixel_array

from bonexray.images.radiograph import Radiograph, UnreadableImage, require_bounded
from bonexray.images.silence import quiet

LUMINANCE = np.array([0.299, 0.587, 0.114])
GRAY, COLOUR = ("MONOCHROME1", "MONOCHROME2"), ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
# Fixed, so that other installed packages do not change how a lossy file is decoded.
DECODERS = {
    uid.JPEGBaseline8Bit: "pillow",
    uid.JPEGExtended12Bit: "pillow",
    uid.JPEG2000Lossless: "pillow",
    uid.JPEG2000: "pillow",
    uid.RLELossless: "pydicom",
}
_NUMBERS = ("Rows", "Columns", "SamplesPerPixel", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation")
_DISPLAY = (
    "ModalityLUTSequence",
    "RescaleSlope",
    "RescaleIntercept",
    "VOILUTSequence",
    "WindowCenter",
    "WindowWidth",
    "VOILUTFunction",
)
_TAGS = [*_NUMBERS, *_DISPLAY, "PhotometricInterpretation", "NumberOfFrames", "PatientID", "IssuerOfPatientID"]


def is_dicom(path: Path | str) -> bool:
    """Return whether the content of a file is DICOM; file names of scanners have any suffix."""
    with Path(path).open("rb") as stream:
        return stream.read(132)[128:] == b"DICM"


def read_dicom(path: Path | str, salt: bytes | None) -> Radiograph:
    """Read a DICOM file of one frame as it should be displayed.

    Args:
        path: of a file in any transfer syntax that pydicom decodes alone or with Pillow.
        salt: of the patient's key; None for no key.

    Returns:
        The radiograph. 1 stands for the top of the window or lookup table if there is one, else for the largest value
        of Bits Stored after rescaling. MONOCHROME1 is inverted; colour becomes luminance.

    Raises:
        UnreadableImage: the file has no single usable frame; the message holds no information on the patient.
    """
    with quiet():
        return _read(path, salt)


def _read(path: Path | str, salt: bytes | None) -> Radiograph:
    syntax = _transfer_syntax(path)
    header = _header(path)
    mode = _require_one_frame(header)
    stored = _decoded(path, header, syntax)
    try:
        pixels = _displayed(stored, header, mode)
    except Exception:
        raise UnreadableImage("DICOM whose window, rescaling or lookup table cannot be applied") from None
    if not np.isfinite(pixels).all():
        raise UnreadableImage("DICOM whose window or rescaling gives values that are not finite")
    return Radiograph(np.clip(pixels, 0, 1).astype(np.float32), "DICOM", mode, _patient_key(header, salt))


def _transfer_syntax(path: Path | str) -> uid.UID:
    try:
        syntax = uid.UID(pydicom.filereader.read_file_meta_info(path).TransferSyntaxUID)
    except Exception:
        raise UnreadableImage("DICOM without a readable transfer syntax") from None
    if syntax.name == syntax:  # for an unknown syntax, pydicom's name is text of the file, which could be anything
        raise UnreadableImage("DICOM of an unknown transfer syntax")
    try:
        readable = get_decoder(syntax).is_available
    except NotImplementedError:
        readable = False
    if not readable or syntax.is_deflated:  # deflated files are expanded before their size can be checked
        raise UnreadableImage(f"DICOM of an unsupported transfer syntax: {syntax.name}")
    return syntax


def _header(path: Path | str) -> Dataset:
    """Return the elements that are needed, converted to their types; pixels are not read."""
    try:
        header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=_TAGS)
        for name in _TAGS:
            if header.get(name) in (None, ""):  # treat an empty element as missing
                header.pop(name, None)
            elif name in (*_NUMBERS, "NumberOfFrames"):
                setattr(header, name, int(header[name].value))
    except Exception:
        raise UnreadableImage("DICOM whose header cannot be read") from None
    return header


def _require_one_frame(header: Dataset) -> str:
    """Refuse anything but one frame of at most 16 bits; return the photometric interpretation."""
    if missing := [name for name in (*_NUMBERS, "PhotometricInterpretation") if header.get(name) is None]:
        raise UnreadableImage(f"DICOM without {', '.join(missing)}")
    if min(header.Rows, header.Columns) < 1:
        raise UnreadableImage(f"DICOM of {header.Columns} x {header.Rows} px")
    require_bounded(header.Columns, header.Rows)
    if (frames := header.get("NumberOfFrames") or 1) != 1:
        raise UnreadableImage(f"{frames} frames, one expected")
    if not 1 <= header.BitsStored <= header.HighBit + 1 <= header.BitsAllocated <= 16:
        raise UnreadableImage(
            f"DICOM of {header.BitsStored} bits up to bit {header.HighBit} in {header.BitsAllocated}, at most 16 expected"
        )
    if header.PhotometricInterpretation not in {1: GRAY, 3: COLOUR}.get(header.SamplesPerPixel, ()):
        raise UnreadableImage("DICOM whose photometric interpretation is not gray, RGB or YBR")
    return str(header.PhotometricInterpretation)


def _decoded(path: Path | str, header: Dataset, syntax: uid.UID) -> np.ndarray:
    """Return int or uint (height, width), or (height, width, 3) in RGB, of the stored bits alone."""
    try:
        stored = pixel_array(path, decoding_plugin=DECODERS.get(syntax, ""), correct_unused_bits=False)
    except Exception:
        raise UnreadableImage(f"DICOM without pixel data that can be decoded ({syntax.name})") from None
    if stored.shape[:2] != (header.Rows, header.Columns):
        raise UnreadableImage("DICOM whose pixel data do not match the size in its header")
    bits = stored.dtype.itemsize * 8
    # Old files store overlays in the unused bits.
    return (stored << (bits - 1 - header.HighBit)) >> (bits - header.BitsStored)


def _displayed(stored: np.ndarray, header: Dataset, mode: str) -> np.ndarray:
    """Return stored values as float64 (height, width), 0 for black and 1 for white."""
    if mode in COLOUR:
        return stored @ LUMINANCE / (2**header.BitsStored - 1)
    pixels = _windowed(stored, header)
    return 1 - pixels if mode == "MONOCHROME1" else pixels


def _windowed(stored: np.ndarray, header: Dataset) -> np.ndarray:
    order = "<" if header.file_meta.TransferSyntaxUID.is_little_endian else ">"
    if modality := header.get("ModalityLUTSequence"):
        values, first, last = _looked_up(stored, modality[0], order), 0.0, 2.0 ** modality[0].LUTDescriptor[2] - 1
        header.pop("RescaleSlope", None)  # the standard allows only one of the two
    else:
        values = apply_modality_lut(stored, header)
        first, last = apply_modality_lut(_stored_range(header), header)
    if voi := header.get("VOILUTSequence"):
        return _looked_up(values, voi[0], order) / (2.0 ** voi[0].LUTDescriptor[2] - 1)
    if header.get("WindowCenter") is None or header.get("WindowWidth") is None:
        first, last = min(first, last), max(first, last)
    else:
        values = apply_windowing(values, header)
    with np.errstate(all="ignore"):  # a slope of 0 leaves no range; the caller refuses the result
        return (values - first) / np.float64(last - first)


def _stored_range(header: Dataset) -> np.ndarray:
    """Return the smallest and the largest value of the stored bits."""
    half = 2 ** (header.BitsStored - 1)
    return np.array([-half, half - 1] if header.PixelRepresentation else [0, 2 * half - 1])


def _looked_up(values: np.ndarray, table: Dataset, byte_order: str) -> np.ndarray:
    """Return values mapped by a lookup table; pydicom's function overflows on the entries of an 8-bit table."""
    entries, first, _ = table.LUTDescriptor
    data = table.LUTData
    if isinstance(data, bytes):
        data = np.frombuffer(data, f"{byte_order}u2")
    index = np.clip(values.astype(np.int64) - first, 0, (entries or 2**16) - 1)
    return np.asarray(data, dtype=np.float64)[index]


def _patient_key(header: Dataset, salt: bytes | None) -> str | None:
    patient, issuer = (str(header.get(name) or "").strip("\0 ") for name in ("PatientID", "IssuerOfPatientID"))
    if salt is None or not patient:
        return None
    return hmac.new(salt, json.dumps([patient, issuer]).encode(), "sha256").hexdigest()
