"""Decode the pixels of a DICOM file, each transfer syntax by one decoder."""

import numpy as np
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import generate_frames
from pydicom.pixels import apply_color_lut, get_decoder, pixel_array

from bonexray.images.codestream import codestream_of
from bonexray.images.radiograph import UnreadableImage

# Fixed, so that other installed packages do not change how a lossy file is decoded.
_LIBJPEG, _OPENJPEG, _CHARLS = (
    ("pylibjpeg", "bonexray[dicom]"),  # pylibjpeg-libjpeg, which is under the GPL
    ("pylibjpeg", "pylibjpeg pylibjpeg-openjpeg"),
    ("pyjpegls", "pyjpegls"),
)
_DECODERS = {  # the plugin of pydicom, and what to install for it
    uid.JPEGBaseline8Bit: ("pillow", "pillow"),
    uid.JPEGExtended12Bit: _LIBJPEG,
    uid.JPEGLossless: _LIBJPEG,
    uid.JPEGLosslessSV1: _LIBJPEG,
    uid.JPEGLSLossless: _CHARLS,
    uid.JPEGLSNearLossless: _CHARLS,
    uid.JPEG2000Lossless: _OPENJPEG,
    uid.JPEG2000: _OPENJPEG,
    uid.HTJ2KLossless: _OPENJPEG,
    uid.HTJ2KLosslessRPCL: _OPENJPEG,
    uid.HTJ2K: _OPENJPEG,
    uid.RLELossless: ("pydicom", "pydicom"),
}
_UNCOMPRESSED = uid.UID("1.2.840.10008.1.2.1.98")  # one fragment for each frame, not compressed
_UNDEFINED_LENGTH = 0xFFFFFFFF  # of pixel data in fragments
_COLOURS, _ENTRIES = ("Red", "Green", "Blue"), "PaletteColorLookupTable"
PIXEL_TAGS = [
    "PlanarConfiguration",
    *[f"{colour}{_ENTRIES}{part}" for colour in _COLOURS for part in ("Descriptor", "Data")],
    *[f"Segmented{colour}{_ENTRIES}Data" for colour in _COLOURS],
    f"{_ENTRIES}UID",
    "ExtendedOffsetTable",
    "ExtendedOffsetTableLengths",
    "FloatPixelData",
    "DoubleFloatPixelData",
    "PixelData",
]


def require_decoder(syntax: uid.UID, bits_stored: int) -> None:
    """Refuse a transfer syntax that cannot be decoded, with what to install or to convert with.

    Raises:
        UnreadableImage: no decoder is known, or it is not installed.
    """
    if not syntax.is_encapsulated or syntax == _UNCOMPRESSED:
        return
    if syntax not in _DECODERS:
        raise UnreadableImage(f"DICOM of an unsupported transfer syntax: {syntax.name}; {_way_out(syntax)}")
    plugin, package = _decoder(syntax, bits_stored)
    if plugin not in get_decoder(syntax).available_plugins:
        raise UnreadableImage(
            f"DICOM of a transfer syntax without its decoder: {syntax.name}; install it with "
            f'`pip install "{package}"`, or convert the file with `gdcmconv --raw`'
        )


def _decoder(syntax: uid.UID, bits_stored: int) -> tuple[str, str]:
    baseline = syntax == uid.JPEGExtended12Bit and bits_stored == 8
    return _DECODERS[uid.JPEGBaseline8Bit if baseline else syntax]


def _way_out(syntax: uid.UID) -> str:
    if any(word in syntax.name for word in ("MPEG", "HEVC", "SMPTE")):
        return "it holds a video: export one frame as an image"
    if "JPIP" in syntax.name:
        return "its pixels are on a server: export the image from there"
    return "convert it with `gdcmconv --raw`"


def decoded(data: Dataset, syntax: uid.UID) -> tuple[np.ndarray, uid.UID]:
    """Return the decoded values, and the transfer syntax that the pixels really have.

    Args:
        data: the elements of `PIXEL_TAGS` and those on size and bits, all of them valid.
        syntax: transfer syntax that the file gives.

    Returns:
        Numbers (height, width), or (height, width, 3) in RGB, with all bits; and the transfer syntax.

    Raises:
        UnreadableImage: there are no pixels, or they cannot be decoded.
    """
    if not any(name in data for name in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        raise UnreadableImage("DICOM without pixel data")
    true = _true_syntax(data, syntax)
    require_decoder(true, data.BitsStored)
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = true
    plugin = _decoder(true, data.BitsStored)[0] if true.is_encapsulated else ""
    try:
        stored = pixel_array(data, decoding_plugin=plugin, correct_unused_bits=False)
    except Exception:
        raise UnreadableImage(f"DICOM without pixel data that can be decoded ({true.name})") from None
    if stored.shape[:2] != (data.Rows, data.Columns):
        raise UnreadableImage("DICOM whose pixel data do not match the size in its header")
    return stored, syntax if syntax == _UNCOMPRESSED else true


def _true_syntax(data: Dataset, syntax: uid.UID) -> uid.UID:
    """Return the transfer syntax of the pixels; refuse a compressed image of another size than the header's."""
    if "PixelData" not in data:
        return syntax
    if data.get_item("PixelData").length != _UNDEFINED_LENGTH:
        return uid.ExplicitVRLittleEndian if syntax.is_encapsulated else syntax
    try:
        frame = next(generate_frames(data.PixelData, number_of_frames=1))
    except Exception:
        raise UnreadableImage("DICOM whose fragments of pixel data cannot be read") from None
    if syntax == _UNCOMPRESSED:
        data.PixelData = frame
        return uid.ExplicitVRLittleEndian
    stream = codestream_of(frame)
    if stream is None:
        raise UnreadableImage(f"DICOM without pixel data that can be decoded ({syntax.name})")
    if stream.width and (stream.width, stream.height) != (data.Columns, data.Rows):  # before a bomb is decoded
        raise UnreadableImage("DICOM whose pixel data do not match the size in its header")
    return syntax if syntax.is_encapsulated else stream.syntax


def stored_bits(raw: np.ndarray, header: Dataset) -> np.ndarray:
    """Return the stored bits alone; old files keep overlays in the unused ones."""
    bits = raw.dtype.itemsize * 8
    if raw.dtype.kind == "f" or bits < header.BitsStored:
        return raw
    return (raw << max(0, bits - 1 - header.HighBit)) >> (bits - header.BitsStored)


def palette_colours(stored: np.ndarray, data: Dataset) -> np.ndarray:
    """Return the colours in [0, 1], (height, width, 3), of the indices (height, width) of a palette.

    Raises:
        UnreadableImage: the palette is missing or malformed.
    """
    try:
        colours = apply_color_lut(stored, data)[..., :3]
    except Exception:
        raise UnreadableImage("DICOM whose palette cannot be applied") from None
    return colours / np.iinfo(colours.dtype).max
