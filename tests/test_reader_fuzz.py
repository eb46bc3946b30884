"""No bytes and no header make the reader fail with anything but its own error, or give an unusable picture."""

import io
import tempfile
from functools import cache

import jpeg_ls
import numpy as np
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom import uid
from xrays import SECRET_ID, SECRET_NAME, dicom_file, encoded, lookup_table

from bonexray.images.radiograph import UnreadableImage
from bonexray.images.reading import read_radiograph

RNG = np.random.default_rng(9)
GRAY = RNG.integers(0, 256, (16, 24), np.uint8)
DEEP = RNG.integers(0, 65_536, (16, 24), np.uint16)
RGB = RNG.integers(0, 256, (16, 24, 3), np.uint8)
EXAMPLES = 250


def read_or_refuse(content: bytes, suffix: str = ".dcm") -> None:
    """Read a file; require a usable picture, or the reader's error in one line that names nobody."""
    with tempfile.NamedTemporaryFile(suffix=suffix) as stream:
        stream.write(content)
        stream.flush()
        try:
            radiograph = read_radiograph(stream.name, b"salt")
        except UnreadableImage as error:
            told = str(error)
            assert told and "\n" not in told
        else:
            pixels, told = radiograph.pixels, " ".join(radiograph.remarks)
            assert pixels.dtype == np.float32 and pixels.ndim == 2
            assert 0 <= pixels.min() < pixels.max() <= 1
    assert not [word for word in (SECRET_ID, "SECRET", *SECRET_NAME.split("^"), stream.name) if word in told]


@cache
def sound_files() -> tuple[bytes, ...]:
    """One file of each format and coding."""
    tiffs = []
    for pixels, options in (
        (np.moveaxis(RGB, 2, 0) * np.uint16(257), {"photometric": "rgb"}),
        (DEEP, {"bigtiff": True}),
    ):
        stream = io.BytesIO()
        tifffile.imwrite(stream, pixels, **options)
        tiffs.append(stream.getvalue())
    window = {"WindowCenter": 128, "WindowWidth": 99, "RescaleSlope": 2, "RescaleIntercept": 1}
    return (
        *(encoded(Image.fromarray(GRAY), kind) for kind in ("PNG", "JPEG", "TIFF", "BMP", "WEBP", "GIF", "PPM", "JPEG2000")),
        encoded(Image.fromarray(DEEP), "TIFF", compression="tiff_lzw"),
        *tiffs,
        dicom_file(DEEP, **window),
        dicom_file(GRAY, VOILUTSequence=lookup_table(0, 8, list(range(256))), PixelPaddingValue=3),
        dicom_file(DEEP, uid.ImplicitVRLittleEndian, **window)[132:],
        dicom_file(RGB),
        dicom_file(DEEP, uid.RLELossless),
        dicom_file(DEEP, uid.DeflatedExplicitVRLittleEndian),
        dicom_file(GRAY, uid.JPEGBaseline8Bit, PixelData=encoded(Image.fromarray(GRAY), "JPEG")),
        dicom_file(DEEP, uid.JPEG2000, PixelData=encoded(Image.fromarray(DEEP), "JPEG2000", no_jp2=True)),
        dicom_file(DEEP, uid.JPEGLSLossless, PixelData=bytes(jpeg_ls.encode_array(DEEP))),
    )  # fmt: skip


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    number=st.integers(0, 63),
    edits=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=4)), max_size=6),
    part=st.one_of(st.just(1.0), st.floats(0, 1)),
)
def test_changed_bytes_of_a_sound_file_are_read_or_refused(number: int, edits: list, part: float) -> None:
    files = sound_files()
    content = bytearray(files[number % len(files)])
    for where, replacement in edits:
        # half of the changes are in the header
        at = int((where * 2 * min(600, len(content))) if where < 0.5 else (where - 0.5) * 2 * len(content))
        content[at : at + len(replacement)] = replacement
    read_or_refuse(bytes(content[: int(len(content) * part)]))


# fmt: off
SIGNS = (
    b"", bytes(128) + b"DICM", b"DICM", b"\x08\0\x05\0CS", b"\x02\0\0\0UL\x04\0", b"\0\x08\0\x05CS", b"II*\0", b"MM\0+",
    b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"P5\n", b"RIFF\0\0\0\0WEBP", b"\x1f\x8b", b"\0\0\0 ftypavif",
)
# fmt: on


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    start=st.sampled_from(SIGNS),
    rest=st.binary(max_size=400),
    suffix=st.sampled_from([".dcm", ".png", ".img", ".nii.gz", ""]),
)
def test_any_bytes_are_refused(start: bytes, rest: bytes, suffix: str) -> None:
    read_or_refuse(start + rest, suffix)


NUMBERS = st.sampled_from(
    ["0", "-1", "1,5", "1e999", "NaN", "", "abc", "1\\2", "0.0001", "70000", "SECRET", "32", "2.5"]
)
TEXT = NUMBERS.map(str.encode)
WORDS = (
    "LINEAR",
    "LINEAR_EXACT",
    "SIGMOID",
    "INVERSE",
    "SECRET-123",
    "MONOCHROME1",
    "RGB",
    "YBR_FULL",
    "PALETTE COLOR",
    "",
)
WORD = st.sampled_from([word.encode() for word in WORDS])
SHORT = st.one_of(st.integers(0, 40), st.sampled_from([8, 12, 16, 32, 64, 65_535])).map(
    lambda n: n.to_bytes(2, "little")
)
TAGS = {  # group 0028 and 2050: element, type, values
    "NumberOfFrames": (b"\x28\0\x08\0", b"IS", TEXT),
    "WindowCenter": (b"\x28\0\x50\x10", b"DS", TEXT),
    "WindowWidth": (b"\x28\0\x51\x10", b"DS", TEXT),
    "RescaleIntercept": (b"\x28\0\x52\x10", b"DS", TEXT),
    "RescaleSlope": (b"\x28\0\x53\x10", b"DS", TEXT),
    "VOILUTFunction": (b"\x28\0\x56\x10", b"CS", WORD),
    "PresentationLUTShape": (b"\x50\x20\x20\0", b"CS", WORD),
    "PhotometricInterpretation": (b"\x28\0\x04\0", b"CS", WORD),
    "SamplesPerPixel": (b"\x28\0\x02\0", b"US", SHORT),
    "PlanarConfiguration": (b"\x28\0\x06\0", b"US", SHORT),
    "Rows": (b"\x28\0\x10\0", b"US", SHORT),
    "Columns": (b"\x28\0\x11\0", b"US", SHORT),
    "BitsAllocated": (b"\x28\0\0\x01", b"US", SHORT),
    "BitsStored": (b"\x28\0\x01\x01", b"US", SHORT),
    "HighBit": (b"\x28\0\x02\x01", b"US", SHORT),
    "PixelRepresentation": (b"\x28\0\x03\x01", b"US", SHORT),
    "PixelPaddingValue": (b"\x28\0\x20\x01", b"US", SHORT),
    "PixelPaddingRangeLimit": (b"\x28\0\x21\x01", b"US", SHORT),
}
TABLE = st.builds(
    lookup_table,
    st.integers(0, 65_535),
    st.integers(0, 20),
    st.lists(st.integers(0, 65_535), min_size=1, max_size=20),
    st.one_of(st.none(), st.integers(0, 65_535)),
)


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    values=st.fixed_dictionaries({}, optional={name: values for name, (_, _, values) in TAGS.items()}),
    tables=st.fixed_dictionaries({}, optional={"VOILUTSequence": TABLE, "ModalityLUTSequence": TABLE}),
    missing=st.lists(
        st.sampled_from(["Rows", "BitsStored", "HighBit", "PixelRepresentation", "PixelData"]), max_size=2
    ),
    pixels=st.sampled_from([GRAY, DEEP, RGB]),
    syntax=st.sampled_from([uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian, uid.JPEGLSLossless]),
    start=st.sampled_from([0, 128, 132]),
)
def test_any_header_is_read_or_refused(
    values: dict, tables: dict, missing: list, pixels: np.ndarray, syntax: uid.UID, start: int
) -> None:
    data = {"PixelData": bytes(jpeg_ls.encode_array(pixels))} if syntax == uid.JPEGLSLossless else {}
    if "PixelData" in missing:
        syntax, data = uid.ExplicitVRLittleEndian, {}
    content = dicom_file(pixels, syntax, **data, **tables, **dict.fromkeys(missing))
    read_or_refuse(inserted(content, values, syntax.is_implicit_VR)[start:])


def inserted(content: bytes, values: dict[str, bytes], implicit: bool) -> bytes:
    """Return a file with values that pydicom would not write, before its pixels; the last of two elements counts."""
    at = content.rfind(b"\xe0\x7f\x10\0")
    at = len(content) if at < 0 else at
    elements = b""
    for name, value in values.items():
        tag, kind, _ = TAGS[name]
        even = value + b" " * (len(value) % 2)
        elements += (
            tag + (len(even).to_bytes(4, "little") if implicit else kind + len(even).to_bytes(2, "little")) + even
        )
    return content[:at] + elements + content[at:]
