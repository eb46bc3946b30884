"""The files that pydicom tests itself with: each is read as pydicom reads it, or refused with the true reason."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi_lut, pixel_array

from bonexray.images.radiograph import LUMINANCE, UnreadableImage
from bonexray.images.reading import read_radiograph

FOLDER = Path(pydicom.__file__).parent / "data/test_files"
FILES = sorted(path for path in FOLDER.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc"))
WINDOW_SHOWS_NOTHING = {"17166", "17196"}  # pixels are compared with those of pydicom without the window
LEAST_CORRELATION = 0.999  # decoders of lossy JPEG differ by a level

pytestmark = [
    pytest.mark.skipif(not find_spec("libjpeg"), reason="needs the extra `dicom`"),
    pytest.mark.filterwarnings("ignore"),
]


def displayed(path: Path) -> np.ndarray | None:
    """Return the one frame of a file as pydicom displays it, (height, width) of any range; None if it cannot."""
    try:
        data = pydicom.dcmread(path, force=True)
        stored = pixel_array(data)
    except Exception:
        return None
    if int(data.get("NumberOfFrames") or 1) != 1:
        return None
    mode = data.PhotometricInterpretation
    if mode == "PALETTE COLOR":
        stored = apply_color_lut(stored, data)
    if stored.ndim == 3:
        return stored @ LUMINANCE
    rescaled = apply_modality_lut(stored, data)
    shown = rescaled if path.name in WINDOW_SHOWS_NOTHING else apply_voi_lut(rescaled, data)
    return -shown.astype(float) if mode == "MONOCHROME1" else shown


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(FOLDER).as_posix())
def test_a_file_is_read_as_pydicom_reads_it_or_refused(path: Path) -> None:
    expected = displayed(path)
    try:
        pixels = read_radiograph(path).pixels
    except UnreadableImage as error:
        assert expected is None, f"pydicom reads it; here: {error}"
        assert str(error) != "DICOM that cannot be read"
    else:
        assert expected is not None
        assert pixels.shape == expected.shape
        assert np.corrcoef(pixels.ravel(), expected.ravel())[0, 1] > LEAST_CORRELATION


# name: a pattern of its reason
REFUSED = {
    "JPEG-lossy.dcm": r"cannot|can be decoded \(JPEG Extended",  # 12 bits, with markers out of place
    "JPEG2000-embedded-sequence-delimiter.dcm": "do not match the size in its header|decoded",
    "MR_truncated.dcm": r"can be decoded \(Explicit VR Little Endian\)",
    "badVR.dcm": "NumberOfFrames cannot be read",
    "color3d_jpeg_baseline.dcm": "120 frames",
    "dicomdirtests/DICOMDIR": "without an image: Media Storage Directory Storage",
    "emri_small.dcm": "^10 frames, one expected$",
    "no_meta.dcm": "looks like",
    "reportsi.dcm": "without an image: Basic Text SR Storage",
    "rtdose.dcm": "^15 frames, one expected$",
    "rtplan.dcm": "without an image: RT Plan Storage",
    "test1.json": "looks like JSON",
    "waveform_ecg.dcm": "without an image: 12-lead ECG Waveform Storage",
    "zipMR.gz": "a gzip archive",
}


@pytest.mark.parametrize("name", [name for name in REFUSED if (FOLDER / name).exists()])
def test_the_reason_is_the_true_one(name: str) -> None:
    with pytest.raises(UnreadableImage, match=REFUSED[name]):
        read_radiograph(FOLDER / name)
