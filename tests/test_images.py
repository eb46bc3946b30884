"""Any X-ray file in, with the values it holds; 16-bit files out."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from bonexray.data.images import UnreadableImage, bounded, read_image, resized, write_png16

GRAY = np.random.default_rng(0).integers(0, 256, (24, 32), np.uint8)
DEEP = np.random.default_rng(1).integers(0, 65_536, (24, 32), np.uint16)
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


# file name: image, the values it stands for, how far off they may be
FORMATS = {
    "8_bit.png": (Image.fromarray(GRAY), GRAY / 255, 1e-6),
    "16_bit.png": (Image.fromarray(DEEP), DEEP / 65_535, 1e-6),
    "16_bit.tiff": (Image.fromarray(DEEP), DEEP / 65_535, 1e-6),
    "gray.jpg": (Image.fromarray(SMOOTH), SMOOTH / 255, 3 / 255),
    "gray.bmp": (Image.fromarray(GRAY), GRAY / 255, 1e-6),
    "palette.png": (palette(), 1 - GRAY / 255, 1e-6),
    "colour.png": (Image.fromarray(RGB), RGB @ (0.299, 0.587, 0.114) / 255, 1 / 255),
    "alpha.png": (Image.fromarray(np.dstack([GRAY, ALPHA]), "LA"), GRAY / 255 * ALPHA / 255, 1 / 255),
    "colour_alpha.png": (
        Image.fromarray(np.dstack([RGB, ALPHA]), "RGBA"), RGB @ (0.299, 0.587, 0.114) / 255 * ALPHA / 255, 2 / 255,
    ),
    "cmyk.tiff": (cmyk(), GRAY / 255, 1 / 255),
    "black_and_white.png": (Image.fromarray(GRAY > 127), GRAY > 127, 1e-6),
    "float.tiff": (Image.fromarray((GRAY / 255).astype(np.float32)), GRAY / 255, 1e-6),
}  # fmt: skip

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


def png_header(width: int, height: int) -> bytes:
    """A PNG that promises so many pixels and holds none."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def saved(image: Image.Image, path: Path, part: float = 1) -> bytes:
    image.save(path)
    return path.read_bytes()[: int(path.stat().st_size * part)]


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_is_read_with_its_values(tmp_path: Path, name: str) -> None:
    image, values, tolerance = FORMATS[name]
    options = {"quality": 100} if name.endswith(".jpg") else {}
    image.save(tmp_path / name, **options)
    pixels = read_image(tmp_path / name)
    assert pixels.dtype == np.float32
    assert pixels.shape == values.shape
    assert 0 <= pixels.min() < pixels.max() <= 1
    np.testing.assert_allclose(pixels, values, rtol=0, atol=tolerance)


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


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("empty.png", lambda _: b"", "^empty file$"),
        ("text.jpg", lambda _: b"no image\n", "cannot identify image file the file"),
        ("cut.png", lambda path: saved(Image.fromarray(GRAY), path, 0.5), "."),
        ("cut.jpg", lambda path: saved(Image.fromarray(GRAY), path, 0.7), "truncated"),
        ("cut.tiff", lambda path: saved(Image.fromarray(DEEP), path, 0.5), "."),
        ("constant.png", lambda path: saved(Image.fromarray(np.full((9, 9), 7, np.uint8)), path), "every pixel"),
        ("beyond.tiff", lambda path: saved(Image.fromarray(GRAY.astype(np.float32)), path), r"outside \[0, 1\]"),
        ("deep.tiff", lambda path: saved(Image.fromarray(GRAY.astype(np.int32) * 999), path), "beyond 16 bits"),
    ],
)  # fmt: skip
def test_a_file_without_a_usable_image_gives_its_reason(tmp_path: Path, name: str, content, reason: str) -> None:
    path = tmp_path / name
    path.write_bytes(content(path))
    with pytest.raises(UnreadableImage, match=reason) as error:
        read_image(path)
    assert str(tmp_path) not in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_file_gives_its_reason(tmp_path: Path) -> None:
    with pytest.raises(UnreadableImage, match="no such file"):
        read_image(tmp_path / "none.png")


@given(seed=st.integers(0, 2**32 - 1), height=st.integers(1, 20), width=st.integers(2, 20))
def test_a_written_image_comes_back_within_a_level(tmp_path_factory, seed: int, height: int, width: int) -> None:
    path = tmp_path_factory.getbasetemp() / "round_trip.png"
    pixels = np.random.default_rng(seed).random((height, width)).astype(np.float32)
    write_png16(path, pixels)
    assert np.abs(read_image(path) - pixels).max() <= 1 / 65_535


def test_what_lies_outside_is_clipped_when_written(tmp_path: Path) -> None:
    write_png16(tmp_path / "x.png", np.array([[-1.0, 0.5], [2.0, 1.0]]))
    np.testing.assert_allclose(read_image(tmp_path / "x.png"), [[0, 0.5], [1, 1]], rtol=0, atol=1e-5)


@given(
    seed=st.integers(0, 2**32 - 1), height=st.integers(1, 60), width=st.integers(1, 60), longer=st.integers(1, 80),
)  # fmt: skip
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
