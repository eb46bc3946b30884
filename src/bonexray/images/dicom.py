"""DICOM files into grayscale, and their patient into a key; no value of another element ever leaves this module.

Only the elements named here are read, and every reason is in our own words, because pydicom quotes values in its
exceptions and warnings. The steps follow DICOM Part 4, Annex N: modality, then window, then display.
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
# What else is installed must not decide how a lossy file is decoded.
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
    """Whether a file is DICOM by its content; file names of scanners end in anything."""
    with Path(path).open("rb") as stream:
        return stream.read(132)[128:] == b"DICM"


def read_dicom(path: Path | str, salt: bytes | None) -> Radiograph:
    """Read a DICOM file of one frame as it is meant to be displayed.

    Args:
        path: a file of any transfer syntax that pydicom decodes by itself or with Pillow.
        salt: makes the patient's key; no key without it.

    Returns:
        Where there is a window or a lookup table, 1 is the top of its output; else the largest value that Bits Stored
        can hold after rescaling. MONOCHROME1 is inverted, colour becomes luminance.

    Raises:
        UnreadableImage: no usable single frame; the reason holds nothing of what the file says about its patient.
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
        raise UnreadableImage("DICOM whose window or rescaling gives values that are no numbers")
    return Radiograph(np.clip(pixels, 0, 1).astype(np.float32), "DICOM", mode, _patient_key(header, salt))


def _transfer_syntax(path: Path | str) -> uid.UID:
    try:
        syntax = uid.UID(pydicom.filereader.read_file_meta_info(path).TransferSyntaxUID)
    except Exception:
        raise UnreadableImage("DICOM without a readable transfer syntax") from None
    if syntax.name == syntax:  # a name that pydicom does not know is what the file says, and that may be anything
        raise UnreadableImage("DICOM of an unknown transfer syntax")
    try:
        readable = get_decoder(syntax).is_available
    except NotImplementedError:
        readable = False
    if not readable or syntax.is_deflated:  # what is deflated unfolds before its size can be known
        raise UnreadableImage(f"DICOM of a transfer syntax that is not read: {syntax.name}")
    return syntax


def _header(path: Path | str) -> Dataset:
    """The elements that are needed, checked to be of their kind; pixels are left in the file."""
    try:
        header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=_TAGS)
        for name in _TAGS:
            if header.get(name) in (None, ""):  # an empty element is as good as none
                header.pop(name, None)
            elif name in (*_NUMBERS, "NumberOfFrames"):
                setattr(header, name, int(header[name].value))
    except Exception:
        raise UnreadableImage("DICOM whose header cannot be read") from None
    return header


def _require_one_frame(header: Dataset) -> str:
    """Refuse what is not one frame of at most 16 bits; gives the photometric interpretation."""
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
        raise UnreadableImage("DICOM of a photometric interpretation that is neither gray nor RGB nor YBR")
    return str(header.PhotometricInterpretation)


def _decoded(path: Path | str, header: Dataset, syntax: uid.UID) -> np.ndarray:
    """int or uint (height, width) or, in RGB, (height, width, 3), with what is stored and nothing beside it."""
    try:
        stored = pixel_array(path, decoding_plugin=DECODERS.get(syntax, ""), correct_unused_bits=False)
    except Exception:
        raise UnreadableImage(f"DICOM without pixel data that can be decoded ({syntax.name})") from None
    if stored.shape[:2] != (header.Rows, header.Columns):
        raise UnreadableImage("DICOM whose pixel data are not of the size in its header")
    bits = stored.dtype.itemsize * 8
    # Old files keep overlays in the bits that the image leaves free.
    return (stored << (bits - 1 - header.HighBit)) >> (bits - header.BitsStored)


def _displayed(stored: np.ndarray, header: Dataset, mode: str) -> np.ndarray:
    """Stored values as float64 (height, width), 0 for black and 1 for white."""
    if mode in COLOUR:
        return stored @ LUMINANCE / (2**header.BitsStored - 1)
    pixels = _windowed(stored, header)
    return 1 - pixels if mode == "MONOCHROME1" else pixels


def _windowed(stored: np.ndarray, header: Dataset) -> np.ndarray:
    order = "<" if header.file_meta.TransferSyntaxUID.is_little_endian else ">"
    if modality := header.get("ModalityLUTSequence"):
        values, first, last = _looked_up(stored, modality[0], order), 0.0, 2.0 ** modality[0].LUTDescriptor[2] - 1
        header.pop("RescaleSlope", None)  # the standard allows one of both
    else:
        values = apply_modality_lut(stored, header)
        first, last = apply_modality_lut(_stored_range(header), header)
    if voi := header.get("VOILUTSequence"):
        return _looked_up(values, voi[0], order) / (2.0 ** voi[0].LUTDescriptor[2] - 1)
    if header.get("WindowCenter") is None or header.get("WindowWidth") is None:
        first, last = min(first, last), max(first, last)
    else:
        values = apply_windowing(values, header)
    with np.errstate(all="ignore"):  # a slope of 0 leaves no range; the caller refuses what comes of it
        return (values - first) / np.float64(last - first)


def _stored_range(header: Dataset) -> np.ndarray:
    """The smallest and the largest value that the stored bits can hold."""
    half = 2 ** (header.BitsStored - 1)
    return np.array([-half, half - 1] if header.PixelRepresentation else [0, 2 * half - 1])


def _looked_up(values: np.ndarray, table: Dataset, byte_order: str) -> np.ndarray:
    """Values through a lookup table. pydicom's own counts the entries of an 8-bit table in 8 bits, and wraps around."""
    entries, first, _ = table.LUTDescriptor
    data = table.LUTData
    if isinstance(data, bytes):
        data = np.frombuffer(data, f"{byte_order}u2")
    place = np.clip(values.astype(np.int64) - first, 0, (entries or 2**16) - 1)
    return np.asarray(data, dtype=np.float64)[place]


def _patient_key(header: Dataset, salt: bytes | None) -> str | None:
    patient, issuer = (str(header.get(name) or "").strip("\0 ") for name in ("PatientID", "IssuerOfPatientID"))
    if salt is None or not patient:
        return None
    return hmac.new(salt, json.dumps([patient, issuer]).encode(), "sha256").hexdigest()
