"""Reading X-ray files of any format, and writing 16-bit files."""

import os
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from xrays import encoded, png_header, png_of, written

from bonexray.images.reading import UnreadableImage, bounded, read_image, read_radiograph, resized, write_png16

GRAY = np.random.default_rng(0).integers(0, 256, (24, 32), np.uint8)
DEEP = np.random.default_rng(1).integers(0, 65_536, (24, 32), np.uint16)
DEEP_RGB = np.random.default_rng(4).integers(0, 65_536, (24, 32, 3), np.uint16)
RGB = np.random.default_rng(2).integers(0, 256, (24, 32, 3), np.uint8)
ALPHA = np.random.default_rng(3).integers(0, 256, (24, 32), np.uint8)
SMOOTH = np.add.outer(np.arange(24) * 4, np.arange(32) * 4).astype(np.uint8)


def palette() -> Image.Image:
    """Indices whose palette turns them upside down."""
    image = Image.frombytes("P", (32, 24), GRAY.tobytes())
    image.putpalette([255 - level for level in range(256) for _ in range(3)])
    return image


def cmyk() -> Image.Image:
    return Image.fromarray(np.dstack([np.zeros((24, 32, 3), np.uint8), 255 - GRAY]), "CMYK")


def tiff16(levels: np.ndarray, byte_order: str = "<", white_is_zero: bool = False, bits: int = 16) -> bytes:
    """An uncompressed TIFF 6.0 of one strip, in either byte order; Pillow writes but the one."""
    height, width = levels.shape
    strip = levels.astype(f"{byte_order}u2").tobytes() if bits == 16 else packed12(levels)
    tags = [
        (256, width),
        (257, height),
        (258, bits),
        (259, 1),
        (262, int(not white_is_zero)),
        (273, 8),
        (277, 1),
        (278, height),
        (279, len(strip)),
    ]
    entries = b"".join(struct.pack(f"{byte_order}HHII", tag, 4, 1, value) for tag, value in tags)
    magic = b"II*\0" if byte_order == "<" else b"MM\0*"
    directory = struct.pack(f"{byte_order}H", len(tags)) + entries + bytes(4)
    return magic + struct.pack(f"{byte_order}I", 8 + len(strip)) + strip + directory


def packed12(levels: np.ndarray) -> bytes:
    """Two values of 12 bits in three bytes, the first in the higher bits."""
    one, other = levels.reshape(-1, 2).T.astype(np.uint16)
    return np.stack([one >> 4, (one & 15) << 4 | other >> 8, other & 255], axis=1).astype(np.uint8).tobytes()


def png_rgb16() -> bytes:
    rows = np.concatenate([np.zeros((24, 1), np.uint8), DEEP_RGB.astype(">u2").view(np.uint8).reshape(24, -1)], axis=1)
    return png_of(struct.pack(">IIBBBBB", 32, 24, 16, 2, 0, 0, 0), rows.tobytes())


LUMINANCE = (0.299, 0.587, 0.114)

# name: file, its format and mode, the values it stands for, how far off they may be
FORMATS = {
    "8-bit PNG": (encoded(Image.fromarray(GRAY), "PNG"), "PNG L", GRAY / 255, 1e-6),
    "16-bit PNG": (encoded(Image.fromarray(DEEP), "PNG"), "PNG I;16", DEEP / 65_535, 1e-6),
    "16-bit TIFF": (encoded(Image.fromarray(DEEP), "TIFF"), "TIFF I;16", DEEP / 65_535, 1e-6),
    "compressed TIFF": (
        encoded(Image.fromarray(DEEP), "TIFF", compression="tiff_lzw"),
        "TIFF I;16",
        DEEP / 65_535,
        1e-6,
    ),
    "big-endian TIFF": (tiff16(DEEP, ">"), "TIFF I;16B", DEEP / 65_535, 1e-6),
    "16-bit TIFF, white is 0": (tiff16(DEEP, white_is_zero=True), "TIFF I;16", 1 - DEEP / 65_535, 1e-6),
    "12-bit TIFF": (tiff16(DEEP >> 4, bits=12), "TIFF I;16", (DEEP >> 4) / 4095, 1e-6),
    "8-bit TIFF": (encoded(Image.fromarray(GRAY), "TIFF"), "TIFF L", GRAY / 255, 1e-6),
    "JPEG": (encoded(Image.fromarray(SMOOTH), "JPEG", quality=100), "JPEG L", SMOOTH / 255, 3 / 255),
    "BMP": (encoded(Image.fromarray(GRAY), "BMP"), "BMP L", GRAY / 255, 1e-6),
    "WebP": (encoded(Image.fromarray(GRAY), "WEBP", lossless=True), "WEBP RGB", GRAY / 255, 1e-6),
    "palette": (encoded(palette(), "PNG"), "PNG P", 1 - GRAY / 255, 1e-6),
    "RGB": (encoded(Image.fromarray(RGB), "PNG"), "PNG RGB", RGB @ LUMINANCE / 255, 1 / 255),
    "16-bit RGB": (png_rgb16(), "PNG RGB", DEEP_RGB @ LUMINANCE / 65_535, 2 / 255),
    "alpha": (
        encoded(Image.fromarray(np.dstack([GRAY, ALPHA]), "LA"), "PNG"),
        "PNG LA",
        GRAY / 255 * ALPHA / 255,
        1 / 255,
    ),
    "RGB with alpha": (
        encoded(Image.fromarray(np.dstack([RGB, ALPHA]), "RGBA"), "PNG"),
        "PNG RGBA",
        RGB @ LUMINANCE / 255 * ALPHA / 255,
        2 / 255,
    ),
    "CMYK": (encoded(cmyk(), "TIFF"), "TIFF CMYK", GRAY / 255, 1 / 255),
    "black and white": (encoded(Image.fromarray(GRAY > 127), "PNG"), "PNG 1", GRAY > 127, 1e-6),
    "float": (encoded(Image.fromarray((GRAY / 255).astype(np.float32)), "TIFF"), "TIFF F", GRAY / 255, 1e-6),
}

# EXIF orientation: how what is stored has to be turned to stand upright
ORIENTATIONS = {
    1: lambda stored: stored,
    2: np.fliplr,
    3: lambda stored: np.rot90(stored, 2),
    4: np.flipud,
    5: np.transpose,
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: np.rot90(stored, 2).T,
    8: np.rot90,
}


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_is_read_with_its_values(tmp_path: Path, name: str) -> None:
    content, kind, values, tolerance = FORMATS[name]
    radiograph = read_radiograph(written(tmp_path / "called_anything.png", content))
    pixels = radiograph.pixels
    assert f"{radiograph.file_format} {radiograph.mode}" == kind
    assert radiograph.patient is None
    assert pixels.dtype == np.float32
    assert pixels.shape == values.shape
    assert 0 <= pixels.min() < pixels.max() <= 1
    np.testing.assert_allclose(pixels, values, rtol=0, atol=tolerance)
    np.testing.assert_array_equal(read_image(tmp_path / "called_anything.png"), pixels)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("stored", [GRAY, DEEP], ids=["8 bit", "16 bit"])
def test_an_image_is_turned_upright(tmp_path: Path, orientation: int, stored: np.ndarray) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(stored).save(tmp_path / "turned.png", exif=exif)
    upright = ORIENTATIONS[orientation](stored) / np.iinfo(stored.dtype).max
    np.testing.assert_allclose(read_image(tmp_path / "turned.png"), upright, rtol=0, atol=1e-6)


@pytest.mark.parametrize("size", [(20_000, 20_000), (12_000, 10_000)], ids=["Pillow's bound", "own bound"])
def test_a_huge_image_is_refused_from_its_header(tmp_path: Path, size: tuple[int, int]) -> None:
    (tmp_path / "bomb.png").write_bytes(png_header(*size))
    with pytest.raises(UnreadableImage, match="pixels"):
        read_image(tmp_path / "bomb.png")


PAGES = {"save_all": True, "append_images": [Image.fromarray(255 - GRAY)]}
NOT_A_NUMBER = np.where(GRAY > 9, GRAY / 255, np.nan).astype(np.float32)

# name: file, a pattern of its reason
BAD = {
    "empty": (b"", "^empty file$"),
    "text": (b"no image\n", "^not an image that is read here: it looks like text$"),
    "HTML": (b"<!DOCTYPE html><html><body>404</body></html>", "it looks like an HTML page instead of a file; download"),
    "Git LFS pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "git lfs pull"),
    "constant": (encoded(Image.fromarray(np.full((9, 9), 7, np.uint8)), "PNG"), "every pixel"),
    "one pixel": (encoded(Image.fromarray(GRAY[:1, :1]), "PNG"), "every pixel"),
    "beyond 1": (encoded(Image.fromarray(GRAY.astype(np.float32)), "TIFF"), r"outside \[0, 1\]"),
    "not a number": (encoded(Image.fromarray(NOT_A_NUMBER), "TIFF"), r"outside \[0, 1\]"),
    "32-bit": (encoded(Image.fromarray(GRAY.astype(np.int32) * 999), "TIFF"), "beyond 16 bits"),
    "two pages": (encoded(Image.fromarray(GRAY), "TIFF", **PAGES), "^2 pages or frames, one expected$"),
    "animated PNG": (encoded(Image.fromarray(GRAY), "PNG", **PAGES), "^2 pages or frames"),
    "animated WebP": (encoded(Image.fromarray(GRAY), "WEBP", **PAGES), "^2 pages or frames"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_file_without_a_usable_image_gives_its_reason(tmp_path: Path, name: str) -> None:
    content, reason = BAD[name]
    require_reason(written(tmp_path / "bad.png", content), reason)


@pytest.mark.parametrize("name", ["8-bit PNG", "16-bit PNG", "16-bit TIFF", "compressed TIFF", "JPEG", "BMP", "WebP"])
@pytest.mark.parametrize("part", [0.02, 0.1, 0.3, 0.5, 0.7, 0.9])
def test_a_truncated_file_is_refused(tmp_path: Path, name: str, part: float) -> None:
    content = FORMATS[name][0]
    require_reason(written(tmp_path / "cut.png", content[: int(len(content) * part)]), ".")


def require_reason(path: Path, reason: str) -> None:
    with pytest.raises(UnreadableImage, match=reason) as error:
        read_image(path)
    assert str(path.parent) not in str(error.value)
    assert "\n" not in str(error.value)


def test_a_preview_in_a_jpeg_is_ignored(tmp_path: Path) -> None:
    path = written(tmp_path / "photo.jpg", encoded(Image.fromarray(SMOOTH), "MPO", quality=100, **PAGES))
    np.testing.assert_allclose(read_image(path), SMOOTH / 255, rtol=0, atol=3 / 255)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes on this system")
def test_a_pipe_is_refused_without_blocking(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    require_reason(tmp_path / "pipe.png", "^not a file$")


def test_a_missing_file_gives_its_reason(tmp_path: Path) -> None:
    with pytest.raises(UnreadableImage, match="no such file"):
        read_image(tmp_path / "none.png")


@given(seed=st.integers(0, 2**32 - 1), height=st.integers(1, 20), width=st.integers(2, 20))
def test_a_written_image_is_read_back_within_one_level(tmp_path_factory, seed: int, height: int, width: int) -> None:
    path = tmp_path_factory.getbasetemp() / "round_trip.png"
    pixels = np.random.default_rng(seed).random((height, width)).astype(np.float32)
    write_png16(path, pixels)
    assert np.abs(read_image(path) - pixels).max() <= 1 / 65_535


def test_values_outside_0_and_1_are_clipped(tmp_path: Path) -> None:
    write_png16(tmp_path / "x.png", np.array([[-1.0, 0.5], [2.0, 1.0]]))
    np.testing.assert_allclose(read_image(tmp_path / "x.png"), [[0, 0.5], [1, 1]], rtol=0, atol=1e-5)


@given(
    seed=st.integers(0, 2**32 - 1),
    height=st.integers(1, 60),
    width=st.integers(1, 60),
    longer=st.integers(1, 80),
)
def test_bounding_keeps_range_and_aspect(seed: int, height: int, width: int, longer: int) -> None:
    pixels = np.random.default_rng(seed).random((height, width)).astype(np.float32)
    small = bounded(pixels, longer)
    assert pixels.min() - 1e-6 <= small.min() <= small.max() <= pixels.max() + 1e-6
    if longer >= max(height, width):
        assert small is pixels
        return
    assert max(small.shape) == longer
    scale = longer / max(height, width)
    assert all(abs(new - max(1, old * scale)) <= 0.5 for new, old in zip(small.shape, pixels.shape, strict=True))


@given(seed=st.integers(0, 2**32 - 1), height=st.integers(1, 60), width=st.integers(1, 60))
def test_resizing_cannot_overshoot(seed: int, height: int, width: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 2, (16, 24)).astype(np.float32)
    other = resized(pixels, height, width)
    assert other.shape == (height, width)
    assert other.dtype == np.float32
    assert pixels.min() - 1e-6 <= other.min() <= other.max() <= pixels.max() + 1e-6


def test_resizing_keeps_a_ramp_a_ramp() -> None:
    ramp = np.tile(np.linspace(0, 1, 64, dtype=np.float32), (8, 1))
    small = resized(ramp, 4, 16)
    np.testing.assert_allclose(small[:, 2:-2], np.tile((np.arange(16) * 4 + 1.5)[2:-2] / 63, (4, 1)), atol=1e-3)
