"""Reading DICOM: displayed values, keys instead of patients, and errors that name no patient."""

import hashlib
import logging
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pydicom.config
import pytest
from PIL import Image
from pydicom import uid
from xrays import SECRET_ID, SECRET_NAME, dicom_file, encoded, lookup_table, written

from bonexray.images.radiograph import UnreadableImage
from bonexray.images.reading import read_radiograph
from bonexray.images.silence import quiet

RNG = np.random.default_rng(0)
GRAY = RNG.integers(0, 256, (24, 32), np.uint8)
TWELVE = RNG.integers(0, 4096, (24, 32), np.uint16)
DEEP = RNG.integers(0, 65_536, (24, 32), np.uint16)
SIGNED = RNG.integers(-32_768, 32_768, (24, 32), np.int16)
SIGNED_12 = RNG.integers(-2048, 2048, (24, 32), np.int16)
RGB = RNG.integers(0, 256, (24, 32, 3), np.uint8)
SMOOTH = np.add.outer(np.arange(24) * 4, np.arange(32) * 4).astype(np.uint8)
LUMINANCE = np.array([0.299, 0.587, 0.114])
FALLING = np.arange(4095, -1, -1)
SALT = b"salt"


def linear(values: np.ndarray, centre: float, width: float) -> np.ndarray:
    """The LINEAR window of DICOM Part 3, C.11.2.1.2.1, as a display takes it."""
    return np.clip((values - (centre - 0.5)) / (width - 1) + 0.5, 0, 1)


# name: file, the values it stands for, how far off they may be
FILES = {
    "8 bit": (dicom_file(GRAY), GRAY / 255, 1e-6),
    "12 bit": (dicom_file(TWELVE, BitsStored=12), TWELVE / 4095, 1e-6),
    "16 bit": (dicom_file(DEEP), DEEP / 65_535, 1e-6),
    "implicit": (dicom_file(DEEP, uid.ImplicitVRLittleEndian), DEEP / 65_535, 1e-6),
    "signed": (dicom_file(SIGNED), (SIGNED + 32_768.0) / 65_535, 1e-6),
    "signed 12 bit": (dicom_file(SIGNED_12, BitsStored=12), (SIGNED_12 + 2048.0) / 4095, 1e-6),
    "overlay in the free bits": (dicom_file(TWELVE | (DEEP & 0xF000), BitsStored=12), TWELVE / 4095, 1e-6),
    "left-aligned": (dicom_file(TWELVE << 4, BitsStored=12, HighBit=15), TWELVE / 4095, 1e-6),
    "white is 0": (dicom_file(TWELVE, BitsStored=12, PhotometricInterpretation="MONOCHROME1"), 1 - TWELVE / 4095, 1e-6),
    "rescaled": (dicom_file(TWELVE, BitsStored=12, RescaleSlope=2, RescaleIntercept=-1000), TWELVE / 4095, 1e-6),
    "rescaled downwards": (
        dicom_file(TWELVE, BitsStored=12, RescaleSlope=-1, RescaleIntercept=0),
        1 - TWELVE / 4095,
        1e-6,
    ),
    "window": (dicom_file(TWELVE, BitsStored=12, WindowCenter=1000, WindowWidth=400), linear(TWELVE, 1000, 400), 1e-6),
    "two windows": (
        dicom_file(TWELVE, BitsStored=12, WindowCenter=[1000, 5], WindowWidth=[400, 9]),
        linear(TWELVE, 1000, 400),
        1e-6,
    ),
    "empty window": (dicom_file(DEEP, WindowCenter="", WindowWidth="", RescaleSlope=""), DEEP / 65_535, 1e-6),
    "window, white is 0": (
        dicom_file(TWELVE, BitsStored=12, WindowCenter=1000, WindowWidth=400, PhotometricInterpretation="MONOCHROME1"),
        1 - linear(TWELVE, 1000, 400),
        1e-6,
    ),
    "window after rescaling": (
        dicom_file(TWELVE, BitsStored=12, WindowCenter=300, WindowWidth=900, RescaleSlope=0.5, RescaleIntercept=-200),
        linear(TWELVE * 0.5 - 200, 300, 900),
        1e-6,
    ),
    "window after rescaling downwards": (
        dicom_file(TWELVE, BitsStored=12, WindowCenter=-1000, WindowWidth=900, RescaleSlope=-1, RescaleIntercept=0),
        linear(-1.0 * TWELVE, -1000, 900),
        1e-6,
    ),
    "signed window": (dicom_file(SIGNED, WindowCenter=-500, WindowWidth=9000), linear(SIGNED, -500, 9000), 1e-6),
    "exact window": (
        dicom_file(TWELVE, BitsStored=12, WindowCenter=1000, WindowWidth=400, VOILUTFunction="LINEAR_EXACT"),
        np.clip((TWELVE - 1000.0) / 400 + 0.5, 0, 1),
        1e-6,
    ),
    "sigmoid": (
        dicom_file(TWELVE, BitsStored=12, WindowCenter=1000, WindowWidth=400, VOILUTFunction="SIGMOID"),
        1 / (1 + np.exp(-4 * (TWELVE - 1000.0) / 400)),
        1e-6,
    ),
    "VOI table of 8 bits": (
        dicom_file(TWELVE, BitsStored=12, VOILUTSequence=lookup_table(100, 8, [n // 8 for n in range(2000)])),
        np.clip(TWELVE.astype(int) - 100, 0, 1999) // 8 / 255,
        1e-6,
    ),
    "modality table": (
        dicom_file(GRAY, ModalityLUTSequence=lookup_table(0, 12, [4095 - 16 * n for n in range(256)])),
        (4095 - 16.0 * GRAY) / 4095,
        1e-6,
    ),
    "words, little-endian": (
        dicom_file(TWELVE, BitsStored=12, VOILUTSequence=lookup_table(0, 12, FALLING.astype("<u2").tobytes(), 4096)),
        1 - TWELVE / 4095,
        1e-6,
    ),
    "words, big-endian": (
        dicom_file(
            TWELVE.astype(">u2"),
            uid.ExplicitVRBigEndian,
            BitsStored=12,
            VOILUTSequence=lookup_table(0, 12, FALLING.astype(">u2").tobytes(), 4096),
        ),
        1 - TWELVE / 4095,
        1e-6,
    ),
    "colour": (dicom_file(RGB), RGB @ LUMINANCE / 255, 1e-6),
    "YBR": (
        dicom_file(np.dstack([GRAY, np.full((24, 32, 2), 128, np.uint8)]), PhotometricInterpretation="YBR_FULL"),
        GRAY / 255,
        2 / 255,
    ),
    "RLE": (dicom_file(DEEP, uid.RLELossless), DEEP / 65_535, 1e-6),
    "JPEG": (
        dicom_file(SMOOTH, uid.JPEGBaseline8Bit, PixelData=encoded(Image.fromarray(SMOOTH), "JPEG", quality=100)),
        SMOOTH / 255,
        3 / 255,
    ),
    "JPEG 2000": (
        dicom_file(DEEP, uid.JPEG2000Lossless, PixelData=encoded(Image.fromarray(DEEP), "JPEG2000", no_jp2=True)),
        DEEP / 65_535,
        1e-6,
    ),
    "one frame": (dicom_file(DEEP, NumberOfFrames=1), DEEP / 65_535, 1e-6),
}

WRONG_SIZE = encoded(Image.fromarray(GRAY[:9]), "JPEG2000", no_jp2=True)

# name: file, a pattern of its reason
BAD = {
    "two frames": (dicom_file(GRAY, NumberOfFrames=2), "^2 frames, one expected$"),
    "no pixel data": (dicom_file(GRAY, PixelData=None), "without pixel data"),
    "too few pixels": (dicom_file(GRAY, PixelData=GRAY.tobytes()[:100]), "without pixel data that can be decoded"),
    "no rows": (dicom_file(GRAY, Rows=None), "^DICOM without Rows$"),
    "0 rows": (dicom_file(GRAY, Rows=0), "^DICOM of 32 x 0 px$"),
    "a bomb": (dicom_file(GRAY, Rows=60_000, Columns=60_000), "^60000 x 60000 px, more than 100000000 pixels$"),
    "more bits stored than there are": (dicom_file(GRAY, BitsStored=12), "^DICOM of 12 bits in 8; at most"),
    "no palette": (dicom_file(GRAY, PhotometricInterpretation="PALETTE COLOR"), "palette cannot be applied"),
    "a name for a colour": (dicom_file(GRAY, PhotometricInterpretation=SECRET_ID), "is not gray, palette, RGB or YBR"),
    "one sample in colour": (dicom_file(GRAY, PhotometricInterpretation="RGB"), "^DICOM of 1 samples .* RGB$"),
    "four samples": (dicom_file(RGB, SamplesPerPixel=4), "^DICOM of 4 samples for each pixel"),
    "no lossless JPEG": (dicom_file(GRAY, uid.JPEGLosslessSV1), r"decoded \(JPEG Lossless"),
    "no JPEG-LS": (dicom_file(GRAY, uid.JPEGLSLossless), r"decoded \(JPEG-LS"),
    "JPEG 2000 of many components": (dicom_file(GRAY, uid.JPEG2000MC), "unsupported transfer syntax: .*gdcmconv --raw"),
    "a video": (dicom_file(GRAY, uid.HEVCMP51), "unsupported transfer syntax: HEVC.* export one frame"),
    "no JPEG": (dicom_file(GRAY, uid.JPEGBaseline8Bit, PixelData=SECRET_NAME.encode()), r"decoded \(JPEG Baseline"),
    "JPEG 2000 of another size": (dicom_file(GRAY, uid.JPEG2000Lossless, PixelData=WRONG_SIZE), "decoded|size"),
    "constant": (dicom_file(np.full((9, 9), 7, np.uint16)), "every pixel has the same value"),
    "nothing after the preamble": (bytes(128) + b"DICM", "^DICOM without Rows, Columns, BitsAllocated$"),
    "noise after the preamble": (bytes(128) + b"DICM" + DEEP.tobytes(), "DICOM"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_read_as_it_should_be_displayed(tmp_path: Path, name: str) -> None:
    content, values, tolerance = FILES[name]
    radiograph = read_radiograph(written(tmp_path / "called_anything.jpg", content))
    assert radiograph.file_format == "DICOM"
    assert radiograph.pixels.dtype == np.float32
    assert 0 <= radiograph.pixels.min() < radiograph.pixels.max() <= 1
    np.testing.assert_allclose(radiograph.pixels, values, rtol=0, atol=tolerance)


def test_the_mode_is_the_photometric_interpretation(tmp_path: Path) -> None:
    content = dicom_file(GRAY, PhotometricInterpretation="MONOCHROME1")
    assert read_radiograph(written(tmp_path / "x.dcm", content)).mode == "MONOCHROME1"


@pytest.mark.parametrize("name", BAD)
def test_the_reason_for_an_unusable_file_does_not_name_the_patient(tmp_path: Path, name: str) -> None:
    content, reason = BAD[name]
    path = written(tmp_path / "x.dcm", content)
    with pytest.raises(UnreadableImage, match=reason) as error:
        read_radiograph(path, SALT)
    require_nobody(str(error.value))
    assert "\n" not in str(error.value)
    assert error.value.__cause__ is None


@pytest.mark.parametrize("name", ["16 bit", "RLE", "JPEG", "JPEG 2000", "implicit"])
def test_a_truncated_file_is_refused_without_the_name_of_the_patient(tmp_path: Path, name: str) -> None:
    content = FILES[name][0]
    for end in [*range(1, len(content) - 20, max(1, len(content) // 40)), len(content) - 40]:
        path = written(tmp_path / "x.dcm", content[:end])
        with pytest.raises(UnreadableImage) as error:
            read_radiograph(path, SALT)
        require_nobody(str(error.value))


def require_nobody(text: str) -> None:
    assert not [word for word in (SECRET_ID, "SECRET", *SECRET_NAME.split("^")) if word in text]


# The patient


def key(folder: Path, salt: bytes | None = SALT, **elements: object) -> str | None:
    return read_radiograph(written(folder / "x.dcm", dicom_file(GRAY, **elements)), salt).patient


def test_a_patient_has_one_key_under_one_salt(tmp_path: Path) -> None:
    assert key(tmp_path) == key(tmp_path, PatientID=f" {SECRET_ID} ", PatientName="Roe^Richard", WindowCenter=9)
    others = {
        key(tmp_path),
        key(tmp_path, PatientID="SECRET-124"),
        key(tmp_path, salt=b"other"),
        key(tmp_path, IssuerOfPatientID="hospital"),
        key(tmp_path, IssuerOfPatientID="clinic"),
    }
    assert len(others) == 5


@pytest.mark.parametrize("elements", [{"salt": None}, {"PatientID": None}, {"PatientID": ""}, {"PatientID": "  "}])
def test_without_a_salt_or_an_id_there_is_no_key(tmp_path: Path, elements: dict) -> None:
    assert key(tmp_path, **elements) is None


def test_the_radiograph_does_not_hold_the_id(tmp_path: Path) -> None:
    radiograph = read_radiograph(written(tmp_path / "x.dcm", dicom_file(GRAY)), SALT)
    require_nobody(repr(vars(radiograph)))
    assert radiograph.patient != hashlib.sha256(SECRET_ID.encode()).hexdigest()
    assert len(radiograph.patient) == 64


def test_no_warning_names_the_patient(tmp_path: Path) -> None:
    odd = dicom_file(GRAY, PixelData=GRAY.tobytes() + b"beyond", PatientID=SECRET_ID, NumberOfFrames=1)
    odd = odd.replace(b"LO\x0a\x00SECRET-123", b"UI\x0a\x00SECRET-123")
    path = written(tmp_path / "x.dcm", odd)
    script = f"from bonexray.images.reading import read_radiograph; read_radiograph({str(path)!r}, b'salt')"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_pydicom_and_the_process_s_warnings_are_silent_only_while_a_file_is_read(tmp_path: Path) -> None:
    path, picture = written(tmp_path / "x.dcm", dicom_file(GRAY)), tmp_path / "x.png"
    Image.fromarray(GRAY).save(picture)

    def state() -> tuple:
        return pydicom.config.settings.reading_validation_mode, logging.getLogger("pydicom").disabled, *warnings.filters

    before = state()
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(read_radiograph, [path, picture] * 20))
    assert state() == before
    with quiet():
        read_radiograph(picture)
        assert state() != before
    assert state() == before
