"""Find the dataset in a DICOM file: with or without preamble and file meta information, plain or deflated.

No value of the file leaves this module except the transfer syntax, which is one that pydicom knows.
"""

import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.tag import Tag

from bonexray.images.radiograph import UnreadableImage

_PREAMBLE, _PREFIX = 128, b"DICM"
_GROUPS = (2, 8)  # the first of a file with file meta information, and of one without
_PIXELS = {Tag("PixelData"), Tag("FloatPixelData"), Tag("DoubleFloatPixelData")}
_HEADER_BYTES = 16 * 2**20  # of a deflated dataset, expanded before the size of its image is known
_FIRST_BYTES = 4096


def is_dicom(path: Path | str) -> bool:
    """Return whether the content of a file is DICOM; file names of scanners have any suffix."""
    with Path(path).open("rb") as stream:
        return _start(stream.read(_FIRST_BYTES)) is not None


class DicomFile:
    """An open DICOM file whose elements can be read.

    Args:
        stream: of the whole file.

    Attributes:
        syntax: transfer syntax; None if the file gives none, until its header is read.
        sop_class: kind of the file's content; "" if the file meta information does not give it.

    Raises:
        UnreadableImage: the transfer syntax is unknown.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        head = stream.read(_FIRST_BYTES)
        stream.seek(_start(head) or 0)
        self.syntax, self.sop_class = _meta(stream)
        self._first = stream.tell()
        self._deflated = self.syntax is not None and self.syntax.is_deflated
        if self._deflated:
            self.syntax = uid.ExplicitVRLittleEndian

    def header(self, tags: list[str]) -> Dataset:
        """Return the elements before the pixels."""
        return self._read(tags, _HEADER_BYTES, lambda tag, _, __: tag in _PIXELS)

    def whole(self, tags: list[str], pixel_bytes: int) -> Dataset:
        """Return elements, pixels among them; a deflated file is expanded to its header and `pixel_bytes` at most."""
        return self._read(tags, _HEADER_BYTES + pixel_bytes, None)

    def _read(self, tags: list[str], limit: int, stop: Callable | None) -> Dataset:
        self._stream.seek(self._first)
        stream = BytesIO(_inflated(self._stream.read(), limit)) if self._deflated else self._stream
        start = stream.tell()
        first = stream.read(6)
        stream.seek(start)
        implicit, little = _encoding(first) if self.syntax is None else _encoding_of(self.syntax)
        data = read_dataset(stream, implicit, little, stop_when=stop, specific_tags=[Tag(name) for name in tags])
        if self.syntax is None:
            by_vr = uid.ExplicitVRLittleEndian if little else uid.ExplicitVRBigEndian
            self.syntax = uid.ImplicitVRLittleEndian if implicit else by_vr
        return data


def _start(head: bytes) -> int | None:
    """Return where the first element is; None if the file is not DICOM."""
    if head[_PREAMBLE:].startswith(_PREFIX):
        return _PREAMBLE + len(_PREFIX)
    if head.startswith(_PREFIX):
        return len(_PREFIX)
    return next((start for start in (0, _PREAMBLE) if _is_element(head[start : start + 8])), None)


def _is_element(head: bytes) -> bool:
    """Return whether 8 bytes are the first element of a file: its tag, and its type or a short length."""
    if len(head) < 8:
        return False
    order = "little" if head[0] else "big"
    group, element = (int.from_bytes(head[i : i + 2], order) for i in (0, 2))
    length = int.from_bytes(head[4:], order)
    return group in _GROUPS and element < 0x2000 and (_is_vr(head[4:6]) or length <= 256)


def _is_vr(code: bytes) -> bool:
    return code.isalpha() and code.isupper()


def _encoding(first: bytes) -> tuple[bool, bool]:
    """Return whether the types of a dataset are implicit, and whether it is little-endian, from its first 6 bytes."""
    return not _is_vr(first[4:6]), first[:1] != b"\0"


def _encoding_of(syntax: uid.UID) -> tuple[bool, bool]:
    return syntax.is_implicit_VR, syntax.is_little_endian


def _meta(stream: BinaryIO) -> tuple[uid.UID | None, str]:
    """Return transfer syntax and SOP class of the file meta information, if there is any, and stay behind it."""
    try:
        meta = read_dataset(stream, False, True, stop_when=lambda tag, _, __: tag.group != 2)
        syntax, sop_class = (uid.UID(meta.get(n) or "") for n in ("TransferSyntaxUID", "MediaStorageSOPClassUID"))
    except Exception:
        raise UnreadableImage("DICOM whose file meta information cannot be read") from None
    if not syntax:
        return None, sop_class
    if syntax.name == syntax or not syntax.is_transfer_syntax:  # the name of an unknown one is text of the file
        raise UnreadableImage("DICOM of an unknown transfer syntax; convert it with `gdcmconv --raw` or `dcmconv`")
    return syntax, sop_class


def _inflated(content: bytes, limit: int) -> bytes:
    return zlib.decompressobj(-zlib.MAX_WBITS).decompress(content, limit)
