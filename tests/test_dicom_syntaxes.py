"""Reading DICOM of every transfer syntax and kind of pixels, or naming what decodes or converts it."""

import base64
import struct
import tracemalloc
from importlib.util import find_spec
from pathlib import Path

import jpeg_ls
import numpy as np
import pytest
from jpegs import extended_jpeg, lossless_jpeg
from PIL import Image
from pydicom import uid
from pydicom.encaps import encapsulate
from xrays import dicom_file, encoded, written

from bonexray.images.codestream import codestream_of
from bonexray.images.dicom import TRANSFER_SYNTAX
from bonexray.images.radiograph import UnreadableImage
from bonexray.images.reading import read_radiograph

RNG = np.random.default_rng(5)
GRAY = RNG.integers(0, 256, (24, 32), np.uint8)
TWELVE = RNG.integers(0, 4096, (24, 32), np.uint16)
DEEP = RNG.integers(0, 65_536, (24, 32), np.uint16)
SIGNED = RNG.integers(-2048, 2048, (24, 32), np.int16)
RGB = RNG.integers(0, 256, (24, 32, 3), np.uint8)
DEEP_RGB = RNG.integers(0, 65_536, (24, 32, 3), np.uint16)
WORDS = RNG.integers(0, 2**32, (24, 32), np.uint32)
WORDS_RGB = RNG.integers(0, 2**32, (24, 32, 3), np.uint32)
BLOCKS = RNG.integers(0, 4096, (3, 4), np.uint16)
BITS = RNG.integers(0, 2, (24, 32), np.uint8)
REALS = RNG.normal(0, 50, (24, 32))
RAMP = np.add.outer(np.arange(24) * 40, np.arange(32) * 100).astype(np.uint16)
LUMINANCE = np.array([0.299, 0.587, 0.114])
# RAMP by OpenJPH: no encoder of HTJ2K is at hand
HTJ2K = base64.b85decode(
    "|4;u>04YEK0000W0000O00000000000000W0000O0000000000009pH0sl|{2mk^A000XAQUDA90ssL31q1{@0smY86Cj9?kdTm&kdTm&kdTmwh=~7W"
    "02crOPjF>!N>E53R%LP^FfKASE;BCwkN^q*00000z5oILlfVEbLG}d)bO68r6F>kH07(7=2Xp{h{Q`${0KfnfzyK2fB8&V2f^-0F`v3wo0KfnhPyhv3jvY"
    "Jxpn@_2b^vVIvSs_gF@e6e0KfnhumA<5z`(%3z`*B<dU1kx0J1WfOeT}b{`v?&d-fp#?79HJ04-<$1<(LSqtR$I8jVJy(fIlP3VM2adT|1K08Yno9LI4S$"
    "8j9TasK~tfI<hqVF(`mgdltN5P|Ho0sq+"
)
PALETTE = RNG.integers(0, 256, (3, 256), np.uint8)
DEEP_PALETTE = RNG.integers(0, 65_536, (3, 256), np.uint16)


def palette_of(entries: np.ndarray) -> dict[str, object]:
    """The elements of a palette of 256 colours."""
    elements = {"PhotometricInterpretation": "PALETTE COLOR"}
    for colour, values in zip(("Red", "Green", "Blue"), entries, strict=True):
        elements[f"{colour}PaletteColorLookupTableDescriptor"] = [256, 0, values.dtype.itemsize * 8]
        elements[f"{colour}PaletteColorLookupTableData"] = values.tobytes()
    return elements


def real(values: np.ndarray, keyword: str) -> bytes:
    """The file of a parametric map, whose pixels are real numbers."""
    whole = ("PixelData", "BitsStored", "HighBit", "PixelRepresentation")
    bits = values.dtype.itemsize * 8
    return dicom_file(
        np.zeros(values.shape, np.uint16), **dict.fromkeys(whole), BitsAllocated=bits, **{keyword: values.tobytes()}
    )


def bare(content: bytes) -> bytes:
    """A file without preamble and file meta information."""
    (length,) = struct.unpack_from("<I", content, 140)
    return content[144 + length :]


def stretched(values: np.ndarray) -> np.ndarray:
    return (values - float(values.min())) / (float(values.max()) - float(values.min()))


def planes(values: np.ndarray) -> bytes:
    return dicom_file(values, PixelData=np.moveaxis(values, 2, 0).tobytes(), PlanarConfiguration=1)


LOSSLESS = dicom_file(TWELVE, uid.JPEGLosslessSV1, BitsStored=12, PixelData=lossless_jpeg(TWELVE, 12))
LS = dicom_file(DEEP, uid.JPEGLSLossless, PixelData=bytes(jpeg_ls.encode_array(DEEP)))
J2K = dicom_file(DEEP, uid.JPEG2000, PixelData=encoded(Image.fromarray(DEEP), "JPEG2000", no_jp2=True))
# name: file, the values it stands for, whether it needs the extra `dicom`
FILES = {
    "lossless JPEG, 8 bits": (
        dicom_file(GRAY, uid.JPEGLosslessSV1, PixelData=lossless_jpeg(GRAY, 8)),
        GRAY / 255,
        True,
    ),
    "lossless JPEG, 12 bits": (LOSSLESS, TWELVE / 4095, True),
    "lossless JPEG, 16 bits": (
        dicom_file(DEEP, uid.JPEGLossless, PixelData=lossless_jpeg(DEEP, 16)),
        DEEP / 65_535,
        True,
    ),
    "lossless JPEG, white is 0": (
        dicom_file(DEEP, uid.JPEGLossless, PixelData=lossless_jpeg(DEEP, 16), PhotometricInterpretation="MONOCHROME1"),
        1 - DEEP / 65_535,
        True,
    ),
    "extended JPEG, 12 bits": (
        dicom_file(
            np.kron(BLOCKS, np.ones((8, 8), np.uint16)),
            uid.JPEGExtended12Bit,
            BitsStored=12,
            PixelData=extended_jpeg(BLOCKS),
        ),
        np.kron(BLOCKS, np.ones((8, 8))) / 4095,
        True,
    ),
    "extended JPEG, 8 bits": (
        dicom_file(
            np.full((24, 32), 9, np.uint8),
            uid.JPEGExtended12Bit,
            PixelData=encoded(Image.fromarray((RAMP // 16).astype(np.uint8)), "JPEG", quality=100),
        ),
        RAMP // 16 / 255,
        False,
    ),
    "JPEG-LS, 8 bits": (
        dicom_file(GRAY, uid.JPEGLSLossless, PixelData=bytes(jpeg_ls.encode_array(GRAY))),
        GRAY / 255,
        False,
    ),
    "JPEG-LS, 16 bits": (LS, DEEP / 65_535, False),
    "JPEG-LS, near lossless": (
        dicom_file(RAMP, uid.JPEGLSNearLossless, PixelData=bytes(jpeg_ls.encode_array(RAMP, lossy_error=3))),
        RAMP / 65_535,
        False,
    ),
    "JPEG-LS, colour": (
        dicom_file(RGB, uid.JPEGLSLossless, PixelData=bytes(jpeg_ls.encode_array(RGB, interleave_mode=2))),
        RGB @ LUMINANCE / 255,
        False,
    ),
    "HTJ2K": (dicom_file(RAMP, uid.HTJ2KLossless, PixelData=HTJ2K), RAMP / 65_535, False),
    "JPEG 2000, not lossless": (J2K, DEEP / 65_535, False),
    "deflated": (dicom_file(DEEP, uid.DeflatedExplicitVRLittleEndian), DEEP / 65_535, False),
    "fragments that are not compressed": (
        dicom_file(DEEP, "1.2.840.10008.1.2.1.98"),
        DEEP / 65_535,
        False,
    ),
    "planes of 8 bits": (planes(RGB), RGB @ LUMINANCE / 255, False),
    "planes of 16 bits": (planes(DEEP_RGB), DEEP_RGB @ LUMINANCE / 65_535, False),
    "colour of 16 bits": (dicom_file(DEEP_RGB), DEEP_RGB @ LUMINANCE / 65_535, False),
    "colour, planes not told": (dicom_file(RGB, PlanarConfiguration=None), RGB @ LUMINANCE / 255, False),
    "colour of 32 bits": (dicom_file(WORDS_RGB), WORDS_RGB @ LUMINANCE / (2**32 - 1), False),
    "palette of 8 bits": (dicom_file(GRAY, **palette_of(PALETTE)), PALETTE.T[GRAY] @ LUMINANCE / 255, False),
    "palette of 16 bits": (
        dicom_file(GRAY, **palette_of(DEEP_PALETTE)),
        DEEP_PALETTE.T[GRAY] @ LUMINANCE / 65_535,
        False,
    ),
    "palette, indices of 16 bits": (
        dicom_file(GRAY.astype(np.uint16), **palette_of(DEEP_PALETTE)),
        DEEP_PALETTE.T[GRAY] @ LUMINANCE / 65_535,
        False,
    ),
    "32 bits": (dicom_file(WORDS), stretched(WORDS), False),
    "signed 32 bits": (dicom_file(WORDS.view(np.int32)), stretched(WORDS.view(np.int32)), False),
    "12 of 32 bits": (dicom_file(TWELVE.astype(np.uint32), BitsStored=12), TWELVE / 4095, False),
    "32 bits in a window": (
        dicom_file(WORDS, WindowCenter=2**31, WindowWidth=2**32, VOILUTFunction="LINEAR_EXACT"),
        WORDS / 2**32,
        False,
    ),
    "real numbers": (real(REALS.astype(np.float32), "FloatPixelData"), stretched(REALS), False),
    "real numbers of 64 bits": (real(REALS, "DoubleFloatPixelData"), stretched(REALS), False),
    "real numbers, some missing": (
        real(np.where(REALS > 40, np.nan, REALS), "DoubleFloatPixelData"),
        np.where(REALS > 40, 0, stretched(np.minimum(REALS, REALS[REALS <= 40].max()))),
        False,
    ),
    "1 bit": (
        dicom_file(BITS, BitsAllocated=1, BitsStored=1, PixelData=np.packbits(BITS, bitorder="little").tobytes()),
        BITS,
        False,
    ),
}
EXACT = 1e-6
TOLERANCES = {"extended JPEG, 8 bits": 3 / 255, "JPEG-LS, near lossless": 3 / 65_535 + EXACT}

# name: file, the values it stands for, whether it needs the extra `dicom`
WRONG_SYNTAX = {
    "lossless JPEG without file meta": (bare(LOSSLESS), TWELVE / 4095, True),
    "JPEG-LS without file meta": (bare(LS), DEEP / 65_535, False),
    "JPEG 2000 without file meta": (bare(J2K), DEEP / 65_535, False),
    "RLE without file meta": (bare(dicom_file(DEEP, uid.RLELossless)), DEEP / 65_535, False),
    "JPEG-LS that is told to be plain": (
        LS.replace(uid.JPEGLSLossless.encode(), uid.ExplicitVRLittleEndian.encode() + b"\0\0\0"),
        DEEP / 65_535,
        False,
    ),
    "plain that is told to be JPEG-LS": (
        dicom_file(DEEP, uid.ExplicitVRLittleEndian, SOPInstanceUID="1.2.3").replace(
            b"UI\x14\x001.2.840.10008.1.2.1\0", b"UI\x16\x001.2.840.10008.1.2.4.80"
        ),
        DEEP / 65_535,
        False,
    ),
}


@pytest.mark.parametrize("name", FILES | WRONG_SYNTAX)
def test_a_file_is_decoded_in_whatever_way_it_is_coded(tmp_path: Path, name: str) -> None:
    content, values, needs_extra = (FILES | WRONG_SYNTAX)[name]
    if needs_extra and not find_spec("libjpeg"):
        pytest.skip("needs the extra `dicom`")
    radiograph = read_radiograph(written(tmp_path / "x.dcm", content))
    np.testing.assert_allclose(radiograph.pixels, values, rtol=0, atol=TOLERANCES.get(name, EXACT))
    assert (TRANSFER_SYNTAX in radiograph.remarks) == (name in WRONG_SYNTAX)


@pytest.mark.parametrize(
    ("syntax", "bits", "package"),
    [
        (uid.JPEGLossless, 16, "bonexray[dicom]"),
        (uid.JPEGLosslessSV1, 16, "bonexray[dicom]"),
        (uid.JPEGExtended12Bit, 12, "bonexray[dicom]"),
        (uid.JPEGLSLossless, 16, "pyjpegls"),
        (uid.JPEG2000, 16, "pylibjpeg-openjpeg"),
        (uid.HTJ2K, 16, "pylibjpeg-openjpeg"),
    ],
)
def test_a_missing_decoder_is_named_and_a_way_around_it(tmp_path, monkeypatch, syntax, bits, package) -> None:
    monkeypatch.setattr("pydicom.pixels.common.CoderBase.available_plugins", ())
    path = written(tmp_path / "x.dcm", dicom_file(DEEP, syntax, BitsStored=bits, PixelData=b"\0" * 99))
    with pytest.raises(UnreadableImage) as error:
        read_radiograph(path)
    assert syntax.name in str(error.value)
    assert package in str(error.value) and "gdcmconv --raw" in str(error.value)


def test_a_bomb_in_a_fragment_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    stream = bytearray(encoded(Image.fromarray(DEEP), "JPEG2000", no_jp2=True))
    stream[8:16] = struct.pack(">II", 2**30, 2**30)
    path = written(tmp_path / "x.dcm", dicom_file(DEEP, uid.JPEG2000, PixelData=bytes(stream)))
    with pytest.raises(UnreadableImage, match="do not match the size"):
        read_radiograph(path)


def test_a_deflated_bomb_is_not_expanded(tmp_path: Path) -> None:
    content = dicom_file(GRAY, uid.DeflatedExplicitVRLittleEndian, PixelData=bytes(200 * 2**20))
    path = written(tmp_path / "x.dcm", content)
    tracemalloc.start()
    with pytest.raises(UnreadableImage):
        read_radiograph(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100 * 2**20


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xd8", b"\xff\xd8\xff\xc0\0", b"\xff\x4f\xff\x51\0", b"text", bytes(99)]
)
def test_bytes_that_are_no_image_have_no_kind(content: bytes) -> None:
    assert codestream_of(content) is None
    assert codestream_of(encapsulate([content or b"\0\0"])) is None
