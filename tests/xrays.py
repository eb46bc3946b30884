"""Small X-ray files for tests: wrong headers, truncated files, and DICOM with any element."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate

SECRET_ID, SECRET_NAME = "SECRET-123", "Doe^Jane"


def png_header(width: int, height: int) -> bytes:
    """Return a PNG whose header gives a size and which holds no pixels."""
    return png_of(struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0), b"")


def png_of(header: bytes, rows: bytes) -> bytes:
    """Return a PNG of any kind, from its header and its rows, which begin with the number of their filter."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def encoded(image: Image.Image, file_format: str, part: float = 1, **options: object) -> bytes:
    """Return the file of an image, or the first part of it."""
    stream = io.BytesIO()
    image.save(stream, file_format, **options)
    return stream.getvalue()[: int(len(stream.getvalue()) * part)]


def dicom_file(stored: np.ndarray, syntax: str = uid.ExplicitVRLittleEndian, **elements: object) -> bytes:
    """Return the DICOM file of a radiograph of the patient SECRET-123, Doe^Jane.

    Args:
        stored: (height, width) or (height, width, 3) of 8 or 16 bits, as stored in the file.
        syntax: a transfer syntax; a compressed one other than RLE needs its fragment in `PixelData`.
        elements: by keyword, added or replaced; None removes an element.
    """
    bits = stored.dtype.itemsize * 8
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = uid.UID(uid.ExplicitVRLittleEndian if syntax == uid.RLELossless else syntax)
    defaults = {
        "SOPClassUID": uid.DigitalXRayImageStorageForPresentation,
        "SOPInstanceUID": "1.2.3",
        "PatientID": SECRET_ID,
        "PatientName": SECRET_NAME,
        "Rows": stored.shape[0],
        "Columns": stored.shape[1],
        "SamplesPerPixel": stored.shape[2] if stored.ndim > 2 else 1,
        "PhotometricInterpretation": "MONOCHROME2" if stored.ndim == 2 else "RGB",
        "PixelRepresentation": int(stored.dtype.kind == "i"),
        "BitsAllocated": bits,
        "BitsStored": bits,
        "HighBit": (elements.get("BitsStored") or bits) - 1,
        "PixelData": stored.tobytes(),
    }
    if stored.ndim > 2:
        defaults["PlanarConfiguration"] = 0
    for keyword, value in {**defaults, **elements}.items():
        if value is not None:
            setattr(data, keyword, value)
    if "PixelData" in data and bits == 8:
        data["PixelData"].VR = "OB"
    if syntax == uid.RLELossless:
        data.compress(uid.RLELossless, encoding_plugin="pydicom")
    elif uid.UID(syntax).is_compressed and not uid.UID(syntax).is_deflated:
        data.PixelData = encapsulate([data.PixelData])
        data["PixelData"].VR = "OB"
    stream = io.BytesIO()
    data.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def lookup_table(first: int, bits: int, values: list[int] | bytes, entries: int | None = None) -> list[Dataset]:
    """Return a Modality or VOI LUT Sequence of one table, given as numbers or as words in the byte order of the file."""
    table = Dataset()
    table.add_new("LUTDescriptor", "US", [entries or len(values), first, bits])
    table.add_new("LUTData", "OW" if isinstance(values, bytes) else "US", values)
    return [table]


def written(path: Path, content: bytes) -> Path:
    """Write a file and its folder; return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path
