"""Say what a file looks like that is no image of a known format, and what to do with it."""

import gzip
import math
import string
from pathlib import Path

_EXPORT = "export it as a 16-bit PNG or TIFF"
_HEAD_BYTES = 4096
# where the sign is, the sign, what the file is, what to do
_SIGNS = (
    (0, b"\x93NUMPY", "a NumPy array (.npy)", _EXPORT),
    (344, b"n+1\0", "a NIfTI volume", "export its slices as 16-bit PNG or TIFF"),
    (344, b"ni1\0", "the header of a NIfTI volume", "export its slices as 16-bit PNG or TIFF"),
    (4, b"n+2\0", "a NIfTI volume", "export its slices as 16-bit PNG or TIFF"),
    (0, b"\x5c\x01\0\0", "the header of an Analyze volume", _EXPORT),
    (0, b"\0\0\x01\x5c", "the header of an Analyze volume", _EXPORT),
    (0, b"NRRD", "an NRRD volume", _EXPORT),
    (0, b"ObjectType", "a MetaImage volume", _EXPORT),
    (0, b"NDims", "a MetaImage volume", _EXPORT),
    (0, b"%PDF", "a PDF document", "export the image in it"),
    (0, b"%!PS", "a PostScript document", "export the image in it"),
    (0, b"8BPS", "a Photoshop document", _EXPORT),
    (0, b"\xff\x0a", "a JPEG XL picture", _EXPORT),
    (0, b"\0\0\0\x0cJXL ", "a JPEG XL picture", _EXPORT),
    (0, b"SIMPLE  =", "a FITS file", _EXPORT),
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file", "export the images in it"),
    (0, b"MATLAB 5.0 MAT-file", "a MATLAB file", "export the images in it"),
    (0, b"PAR1", "a Parquet table", "export the images in it"),
    (0, b"SQLite format 3", "an SQLite database", ""),
    (0, b"\x80\x04\x95", "a Python pickle", "export the images in it"),
    (0, b"PK\x03\x04", "a ZIP archive or Office document", "unpack it"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it"),
    (0, b"Rar!", "a RAR archive", "unpack it"),
    (257, b"ustar", "a TAR archive", "unpack it"),
    (0, b"\x1f\x8b", "a gzip archive", "unpack it"),
    (0, b"BZh", "a bzip2 archive", "unpack it"),
    (0, b"\xfd7zXZ", "an xz archive", "unpack it"),
    (0, b"\x28\xb5\x2f\xfd", "a Zstandard archive", "unpack it"),
    (0, b"\xd0\xcf\x11\xe0", "an old Office document or Thumbs.db", ""),
    (0, b"\x1aE\xdf\xa3", "a Matroska or WebM video", "export one frame as an image"),
    (0, b"\0\0\x01\xba", "an MPEG video", "export one frame as an image"),
    (0, b"\0\0\x01\0", "an icon", _EXPORT),
    (0, b"\0\0\0\x01Bud1", "a .DS_Store of macOS", ""),
    (0, b"\0\x05\x16\x07", "the AppleDouble part of a file (._ of macOS)", "take the file itself"),
)
_BRANDS = {  # of ISO base media files, which begin with a box "ftyp"
    (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"): ("an HEIC picture", _EXPORT),
    (b"avif", b"avis"): ("an AVIF picture", _EXPORT),
    (b"crx ",): ("a camera's raw picture (CR3)", _EXPORT),
}
_VIDEO = ("a video (MP4 or MOV)", "export one frame as an image")
_TEXT_SIGNS = (
    (("<!doctype html", "<html"), "an HTML page instead of a file", "download the file again"),
    (("<svg",), "an SVG drawing", _EXPORT),
    (("<?xml",), "XML", ""),
    (("outs:", "md5:"), "a DVC pointer instead of the image", "run `dvc pull`"),
    (("{", "["), "JSON", ""),
)
_RAW_SUFFIXES = (".img", ".raw", ".bin", ".dat")
_LEAST_RAW_SIDE = 64


def looks_like(path: Path | str) -> str:
    """Return one line: what a file that cannot be read as an image looks like, and what to do if that is known."""
    with Path(path).open("rb") as stream:
        head = stream.read(_HEAD_BYTES)
    what, do = _by_signs(head) or _as_text(head) or _as_raw(Path(path)) or ("unknown content", "")
    if what.startswith("a gzip") and (inner := _by_signs(_unzipped(path))):
        what, do = f"{inner[0]}, gzipped", inner[1]
    return f"not an image that is read here: it looks like {what}{'; ' if do else ''}{do}"


def _by_signs(head: bytes) -> tuple[str, str] | None:
    if head[4:8] == b"ftyp":
        return next((kind for brands, kind in _BRANDS.items() if head[8:12] in brands), _VIDEO)
    if head[:4] == b"RIFF":
        return "a RIFF file, such as an AVI video or a damaged WebP", ""
    return next(((what, do) for at, sign, what, do in _SIGNS if head[at:].startswith(sign)), None)


def _as_text(head: bytes) -> tuple[str, str] | None:
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "text in UTF-16", ""
    try:
        text = head.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:  # else a character is cut in two
            return None
        text = head[: error.start].decode("utf-8-sig")
    if any(letter < " " and letter not in string.whitespace for letter in text):
        return None
    start = text.lstrip().lower()
    signs = ((what, do) for starts, what, do in _TEXT_SIGNS if start.startswith(starts))
    return next(signs, ("text", ""))


def _as_raw(path: Path) -> tuple[str, str] | None:
    """Recognise pixels without a header by a size that is a square, or by the suffix."""
    size = path.stat().st_size
    for bits in (16, 8):
        side = math.isqrt(size * 8 // bits)
        if side >= _LEAST_RAW_SIDE and side * side * bits == size * 8:
            return f"raw pixels without a header ({side} x {side} of {bits} bits)", _EXPORT
    if path.suffix.lower() in _RAW_SUFFIXES:
        return "raw pixels without a header", _EXPORT
    return None


def _unzipped(path: Path | str) -> bytes:
    try:
        with gzip.open(path) as stream:
            return stream.read(_HEAD_BYTES)
    except (OSError, EOFError):
        return b""
