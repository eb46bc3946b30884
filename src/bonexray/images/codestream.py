"""Recognise a JPEG, JPEG-LS or JPEG 2000 stream, and its size, from its first markers."""

import struct
from dataclasses import dataclass

from pydicom import uid

_J2K, _JPEG, _CAPABILITIES = b"\xff\x4f\xff\x51", b"\xff\xd8", b"\xff\x50"
_WITHOUT_LENGTH = (0xD8, 0x01, *range(0xD0, 0xD8))  # markers without a length
# by the marker that holds the size (ITU-T T.81, table B.1; ITU-T T.87)
_FRAMES = {
    0xC0: uid.JPEGBaseline8Bit,
    0xC1: uid.JPEGExtended12Bit,
    0xC2: uid.JPEGBaseline8Bit,  # progressive, which the decoder of the baseline reads too
    0xC3: uid.JPEGLossless,
    0xF7: uid.JPEGLSLossless,
}
_LARGEST_RLE_HEADER = 15  # segments


@dataclass(frozen=True)
class Codestream:
    """The kind of a compressed image.

    Attributes:
        syntax: a transfer syntax whose decoder reads it.
        width: in pixels; 0 if the stream does not tell.
        height: in pixels; 0 if the stream does not tell.
        bits: of a sample; 0 if the stream does not tell.
    """

    syntax: uid.UID
    width: int = 0
    height: int = 0
    bits: int = 0


def codestream_of(frame: bytes) -> Codestream | None:
    """Return the kind of a compressed image; None if it is none that a decoder here reads."""
    try:
        if (start := frame[:4096].find(_J2K)) >= 0:
            return _jpeg_2000(frame[start:])
        if frame.startswith(_JPEG):
            return _jpeg(frame)
        if 1 <= struct.unpack_from("<I", frame)[0] <= _LARGEST_RLE_HEADER and len(frame) > 64:
            return Codestream(uid.RLELossless)
    except (struct.error, IndexError):  # it ends within a marker
        return None
    return None


def _jpeg_2000(stream: bytes) -> Codestream:
    """Read the SIZ marker of ITU-T T.800, A.5.1."""
    length, _, right, bottom, left, top = struct.unpack_from(">HHIIII", stream, 4)
    bits = (stream[42] & 0x7F) + 1
    high_throughput = stream[4 + length :].startswith(_CAPABILITIES)
    return Codestream(uid.HTJ2K if high_throughput else uid.JPEG2000, right - left, bottom - top, bits)


def _jpeg(stream: bytes) -> Codestream | None:
    """Walk through the markers up to the one that holds the size."""
    at = 0
    while stream[at] == 0xFF:
        marker = stream[at + 1]
        if marker in _FRAMES:
            bits, height, width = struct.unpack_from(">BHH", stream, at + 4)
            return Codestream(_FRAMES[marker], width, height, bits)
        if marker == 0xFF:  # fill byte
            at += 1
        else:
            at += 2 if marker in _WITHOUT_LENGTH else 2 + struct.unpack_from(">H", stream, at + 2)[0]
    return None
