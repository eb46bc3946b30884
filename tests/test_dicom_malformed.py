"""Reading DICOM whose display elements are malformed, or that lacks preamble, file meta or usual elements."""

import re
import struct
from pathlib import Path

import numpy as np
import pytest
from pydicom import uid
from xrays import SECRET_ID, dicom_file, lookup_table, written

from bonexray.images.dicom import TRANSFER_SYNTAX
from bonexray.images.radiograph import UnreadableImage
from bonexray.images.reading import read_radiograph

RNG = np.random.default_rng(6)
TWELVE = RNG.integers(0, 4096, (24, 32), np.uint16)
DEEP = RNG.integers(0, 65_536, (24, 32), np.uint16)
SIGNED = RNG.integers(-2048, 2048, (24, 32), np.int16)
FULL = TWELVE / 4095
WINDOW = "^the window or its lookup table is malformed or shows nothing; the full range instead$"
RESCALING = "^the rescaling or modality lookup table is malformed; stored values without a window instead$"


def twelve(**elements: object) -> bytes:
    return dicom_file(TWELVE, BitsStored=12, **elements)


def window(centre: object, width: object, **elements: object) -> bytes:
    return twelve(WindowCenter=centre, WindowWidth=width, **elements)


def reworded(content: bytes, old: bytes, new: bytes) -> bytes:
    """Return a file with a value that pydicom does not write."""
    assert content.count(old) == 1
    assert len(old) == len(new)
    return content.replace(old, new)


def bare(content: bytes) -> bytes:
    """Return a file without preamble and file meta information."""
    return content[144 + struct.unpack_from("<I", content, 140)[0] :]


# name: file, the values it stands for, a pattern of its only remark
DISPLAY = {
    "no width": (window(2000, 0), FULL, WINDOW),
    "a negative width": (window(2000, -400), FULL, WINDOW),
    "a width below 1": (window(2000, 0.4), FULL, WINDOW),
    "a width below 1 by rescaling": (window(0.2, 0.41, RescaleSlope=1e-4, RescaleIntercept=0), FULL, WINDOW),
    "a decimal comma": (reworded(window(2048, "7777.5"), b"7777.5", b"7777,5"), FULL, WINDOW),
    "a decimal comma in the centre": (reworded(window("7777.5", 400), b"7777.5", b"7777,5"), FULL, WINDOW),
    "a width that is a word": (reworded(window(2048, "777.75"), b"777.75", b"normal"), FULL, WINDOW),
    "a width that is no number": (reworded(window(2048, "777.75"), b"777.75", b"   NaN"), FULL, WINDOW),
    "an infinite width": (reworded(window(2048, "777.75"), b"777.75", b" 1e999"), FULL, WINDOW),
    "above the data": (window(60_000, 1000), FULL, WINDOW),
    "below the data": (window(-60_000, 1000), FULL, WINDOW),
    "far too wide": (window(2000, 1e12), FULL, WINDOW),
    "outside of the data, white is 0": (
        window(60_000, 1000, PhotometricInterpretation="MONOCHROME1"),
        1 - FULL,
        WINDOW,
    ),
    "outside of the data, rescaled": (
        window(60_000, 1000, RescaleSlope=2, RescaleIntercept=-1000),
        FULL,
        WINDOW,
    ),
    "outside of signed data": (
        dicom_file(SIGNED, BitsStored=12, WindowCenter=9000, WindowWidth=10),
        (SIGNED + 2048.0) / 4095,
        WINDOW,
    ),
    "an unknown function": (window(2000, 400, VOILUTFunction="LOGARITHM"), FULL, WINDOW),
    "a name for a function": (window(2000, 400, VOILUTFunction=SECRET_ID), FULL, WINDOW),
    "a sigmoid of no width": (window(2000, 0, VOILUTFunction="SIGMOID"), FULL, WINDOW),
    "exact, of a negative width": (window(2000, -9, VOILUTFunction="LINEAR_EXACT"), FULL, WINDOW),
    "several, none with a width": (window([2000, 1000], [0, -4]), FULL, WINDOW),
    "fewer widths than centres": (window([90_000, 2000], [10]), FULL, WINDOW),
    "an empty VOI table": (twelve(VOILUTSequence=lookup_table(0, 8, [])), FULL, WINDOW),
    "a VOI table that is cut": (twelve(VOILUTSequence=lookup_table(0, 8, [1, 2, 3], entries=4096)), FULL, WINDOW),
    "a VOI table of one value": (twelve(VOILUTSequence=lookup_table(0, 8, [9] * 4096)), FULL, WINDOW),
    "a slope of 0": (twelve(RescaleSlope=0, RescaleIntercept=5), FULL, RESCALING),
    "a slope of 0 and a window": (window(0, 9, RescaleSlope=0, RescaleIntercept=5), FULL, RESCALING),
    "a slope beyond numbers": (twelve(RescaleSlope="1e308", RescaleIntercept=5), FULL, RESCALING),
    "a slope with a comma": (
        reworded(twelve(RescaleSlope="7777.5", RescaleIntercept=0), b"7777.5", b"7777,5"),
        FULL,
        RESCALING,
    ),
    "an empty modality table": (twelve(ModalityLUTSequence=lookup_table(0, 8, [])), FULL, RESCALING),
    "a modality table of one value": (twelve(ModalityLUTSequence=lookup_table(0, 8, [9] * 4096)), FULL, RESCALING),
    "an inverse presentation": (twelve(PresentationLUTShape="INVERSE"), 1 - FULL, "^MONOCHROME2 with an inverse"),
    "no HighBit": (twelve(HighBit=None), FULL, "^HighBit missing or impossible"),
    "an impossible HighBit": (twelve(HighBit=3), FULL, "^HighBit missing or impossible"),
    "no BitsStored": (dicom_file(DEEP, BitsStored=None), DEEP / 65_535, "^BitsStored missing or impossible"),
    "hardly an element": (
        dicom_file(
            DEEP,
            **dict.fromkeys(
                ["BitsStored", "HighBit", "PixelRepresentation", "SamplesPerPixel", "PhotometricInterpretation"]
            ),
        ),
        DEEP / 65_535,
        "^SamplesPerPixel, PhotometricInterpretation, BitsStored, HighBit, PixelRepresentation missing",
    ),
    "no file meta": (bare(twelve()), FULL, f"^{TRANSFER_SYNTAX}$"),
    "no file meta, implicit": (bare(dicom_file(DEEP, uid.ImplicitVRLittleEndian)), DEEP / 65_535, "^the transfer"),
    "no file meta, big-endian": (
        bare(dicom_file(DEEP.astype(">u2"), uid.ExplicitVRBigEndian)),
        DEEP / 65_535,
        "^the transfer",
    ),
    "an empty preamble alone": (bytes(128) + bare(twelve()), FULL, "^the transfer"),
}
MASKED_DEEP = np.where(RNG.random((24, 32)) < 0.2, 65_535, DEEP % 60_000).astype(np.uint16)
DISPLAY["a window that shows padding alone"] = (
    dicom_file(MASKED_DEEP, PixelPaddingValue=65_535, WindowCenter=62_000, WindowWidth=100),
    np.where(MASKED_DEEP == 65_535, 0, MASKED_DEEP / 65_535),
    WINDOW,
)
MASKED = np.where(RNG.random((24, 32)) < 0.2, 4095, TWELVE % 4000).astype(np.uint16)
NEGATIVE = np.where(RNG.random((24, 32)) < 0.2, -2000, SIGNED % 1000).astype(np.int16)
# the same without a remark
SOUND = {
    "the second window alone shows something": (
        window([60_000, 1000], [9, 401]),
        np.clip((TWELVE - 799.5) / 400, 0, 1),
    ),
    "an inverse presentation, white is 0": (
        twelve(PresentationLUTShape="INVERSE", PhotometricInterpretation="MONOCHROME1"),
        1 - FULL,
    ),
    "an identical presentation": (twelve(PresentationLUTShape="IDENTITY"), FULL),
    "no preamble": (twelve()[128:], FULL),
    "no preamble and no prefix": (twelve()[132:], FULL),
    "padding": (
        dicom_file(MASKED, BitsStored=12, PixelPaddingValue=4095),
        np.where(MASKED == 4095, 0, MASKED / 4095),
    ),
    "padding, white is 0": (
        dicom_file(MASKED, BitsStored=12, PixelPaddingValue=4095, PhotometricInterpretation="MONOCHROME1"),
        np.where(MASKED == 4095, 0, 1 - MASKED / 4095),
    ),
    "padding, implicit": (
        dicom_file(MASKED, uid.ImplicitVRLittleEndian, BitsStored=12, PixelPaddingValue=4095),
        np.where(MASKED == 4095, 0, MASKED / 4095),
    ),
    "a range of padding": (
        dicom_file(MASKED, BitsStored=12, PixelPaddingValue=4095, PixelPaddingRangeLimit=3000),
        np.where(MASKED >= 3000, 0, MASKED / 4095),
    ),
    "signed padding": (
        dicom_file(NEGATIVE, PixelPaddingValue=-2000),
        np.where(NEGATIVE == -2000, 0, (NEGATIVE + 32_768.0) / 65_535),
    ),
    "signed padding, written unsigned": (
        reworded(dicom_file(NEGATIVE, PixelPaddingValue=-2000), b"\x28\0\x20\x01SS\x02\0", b"\x28\0\x20\x01US\x02\0"),
        np.where(NEGATIVE == -2000, 0, (NEGATIVE + 32_768.0) / 65_535),
    ),
    "padding beyond the bits": (
        dicom_file(np.where(MASKED == 4095, 0xF800, MASKED), BitsStored=12, PixelPaddingValue=0xF800),
        np.where(MASKED == 4095, 0, MASKED / 4095),
    ),
    "padding that no pixel has": (dicom_file(TWELVE, PixelPaddingValue=65_535), TWELVE / 65_535),
}


@pytest.mark.parametrize("name", DISPLAY | SOUND)
def test_a_usable_picture_is_read_with_a_remark_on_what_is_malformed(tmp_path: Path, name: str) -> None:
    content, values, *remark = (DISPLAY | SOUND)[name]
    radiograph = read_radiograph(written(tmp_path / "x.dcm", content))
    np.testing.assert_allclose(radiograph.pixels, values, rtol=0, atol=1e-6)
    assert len(radiograph.remarks) == len(remark)
    for pattern, given in zip(remark, radiograph.remarks, strict=True):
        assert re.search(pattern, given)
        assert "SECRET" not in given


@pytest.mark.parametrize("elements", [{}, {"WindowCenter": 1, "WindowWidth": 0}, {"PixelPaddingValue": 7}])
def test_a_constant_picture_has_no_usable_pixels(tmp_path: Path, elements: dict) -> None:
    path = written(tmp_path / "x.dcm", dicom_file(np.full((9, 9), 7, np.uint16), **elements))
    with pytest.raises(UnreadableImage, match=r"^every pixel has the same value$"):
        read_radiograph(path)


def test_an_object_without_an_image_is_named(tmp_path: Path) -> None:
    needed = dict.fromkeys(["Rows", "Columns", "BitsAllocated", "PixelData"])
    plan = dicom_file(DEEP, SOPClassUID=uid.RTPlanStorage, BitsStored=16, **needed)
    with pytest.raises(UnreadableImage, match=r"^DICOM without an image: RT Plan Storage$"):
        read_radiograph(written(tmp_path / "x.dcm", plan))
    unknown = dicom_file(DEEP, SOPClassUID="1.2.3.4.5", BitsStored=16, **needed)
    with pytest.raises(UnreadableImage, match=r"^DICOM without Rows, Columns, BitsAllocated$"):
        read_radiograph(written(tmp_path / "y.dcm", unknown))
