"""A file that is no image is refused with what it looks like."""

import gzip
import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from xrays import encoded, written

from bonexray.images.radiograph import UnreadableImage
from bonexray.images.reading import read_radiograph

RNG = np.random.default_rng(8)
PIXELS = RNG.integers(0, 65_536, (64, 64), np.uint16)


def npy() -> bytes:
    stream = io.BytesIO()
    np.save(stream, PIXELS)
    return stream.getvalue()


def zipped() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("1.txt", "text")
    return stream.getvalue()


def tarred() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("1.txt"))
    return stream.getvalue()


def box(brand: bytes) -> bytes:
    return b"\0\0\0\x18ftyp" + brand + b"\0\0\0\0" + brand + RNG.bytes(200)


NIFTI = b"\x5c\x01\0\0" + bytes(340) + b"n+1\0" + PIXELS.tobytes()
# name of the file: its content, what it looks like
FILES = {
    "phone.heic": (box(b"heic"), "an HEIC picture; export it as a 16-bit PNG or TIFF"),
    "phone.jpg": (box(b"mif1"), "an HEIC picture"),
    "film.mp4": (box(b"isom"), "a video"),
    "raw.cr3": (box(b"crx "), "a camera's raw picture"),
    "scan.nii": (NIFTI, "a NIfTI volume; export its slices"),
    "scan.nii.gz": (gzip.compress(NIFTI), "a NIfTI volume, gzipped; export its slices"),
    "scan.hdr": (b"\x5c\x01\0\0" + bytes(344), "the header of an Analyze volume"),
    "scan.nrrd": (b"NRRD0004\n" + RNG.bytes(99), "an NRRD volume"),
    "scan.mha": (b"ObjectType = Image\nNDims = 3\n", "a MetaImage volume"),
    "array.npy": (npy(), r"a NumPy array \(.npy\); export it"),
    "JPCLN001.IMG": (PIXELS.astype(">u2").tobytes(), r"raw pixels without a header \(64 x 64 of 16 bits\); export it"),
    "bytes.raw": (RNG.bytes(5001), "raw pixels without a header; export it"),
    "report.pdf": (b"%PDF-1.7\n" + RNG.bytes(99), "a PDF document"),
    "page.jpg": (b"\n<!DOCTYPE html><title>404</title>", "an HTML page instead of a file; download"),
    "plan.svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG drawing"),
    "knee.png.dvc": (b"outs:\n- md5: 0\n  path: knee.png\n", "a DVC pointer instead of the image; run `dvc pull`"),
    "labels.csv": ("path,Größe\n1.png,2\n".encode(), "text$"),
    "labels16.csv": ("path,label\n".encode("utf-16"), "text in UTF-16"),
    "boxes.json": (b'{"a": 1}', "JSON"),
    "table.parquet": (b"PAR1" + RNG.bytes(99), "a Parquet table"),
    "set.h5": (b"\x89HDF\r\n\x1a\n" + RNG.bytes(99), "an HDF5 file"),
    "set.mat": (b"MATLAB 5.0 MAT-file, Platform" + RNG.bytes(99), "a MATLAB file"),
    "set.zip": (zipped(), "a ZIP archive"),
    "set.tar": (tarred(), "a TAR archive"),
    "set.gz": (gzip.compress(b"something else"), "a gzip archive; unpack it"),
    "cut.gz": (gzip.compress(NIFTI)[:15], "a gzip archive"),
    "drawing.psd": (b"8BPS\0\1" + RNG.bytes(99), "a Photoshop document"),
    "._knee.png": (b"\0\x05\x16\x07" + RNG.bytes(99), "the AppleDouble part"),
    "noise.png": (b"\xa7" + RNG.bytes(99), "unknown content$"),
    "picture.tga": (encoded(Image.fromarray(PIXELS[:9] // 256).convert("L"), "TGA"), "unknown content$"),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_the_reason_says_what_a_file_looks_like(tmp_path: Path, name: str) -> None:
    content, what = FILES[name]
    with pytest.raises(UnreadableImage, match="^not an image that is read here: it looks like " + what):
        read_radiograph(written(tmp_path / name, content))


def test_the_reason_does_not_quote_the_file(tmp_path: Path) -> None:
    with pytest.raises(UnreadableImage) as error:
        read_radiograph(written(tmp_path / "Doe^Jane.txt", b"Doe^Jane, born in 1950"))
    assert "Doe" not in str(error.value) and "1950" not in str(error.value)
