"""Reading every kind of TIFF with its values, and PNG only if its checksums are right."""

import io
import logging
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from xrays import encoded, written

from bonexray.images.radiograph import UnreadableImage
from bonexray.images.reading import read_radiograph

RNG = np.random.default_rng(7)
LUMINANCE = np.array([0.299, 0.587, 0.114])
SAMPLES = RNG.random((24, 32, 4))
GRAY = RNG.integers(0, 256, (24, 32), np.uint8)
RGB = RNG.integers(0, 256, (24, 32, 3), np.uint8)
DEEP = RNG.integers(0, 65_536, (24, 32), np.uint16)
DEEP_CMYK = RNG.integers(0, 65_536, (24, 32, 4), np.uint16)
TYPES = ("u1", "u2", "i1", "i2", "f2", "f4", "f8")


def levels(kind: str, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return samples in [0, 1] as a type stores them, and the values that these stand for."""
    dtype = np.dtype(kind)
    largest = 1.0 if dtype.kind == "f" else float(np.iinfo(dtype).max)
    stored = (samples * largest).astype(dtype)
    return stored, stored.astype(np.float64) / largest


def tiff(pixels: np.ndarray, **options: object) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, pixels, **options)
    return stream.getvalue()


def coloured(kind: str, planes: str, byte_order: str, alpha: bool, **options: object) -> tuple[bytes, np.ndarray]:
    stored, values = levels(kind, SAMPLES if alpha else SAMPLES[..., :3])
    gray = values[..., :3] @ LUMINANCE
    pixels = np.moveaxis(stored, 2, 0) if planes == "separate" else stored
    extra = ["unassalpha"] if alpha else None
    content = tiff(pixels, photometric="rgb", planarconfig=planes, byteorder=byte_order, extrasamples=extra, **options)
    return content, gray * values[..., 3] if alpha else gray


def gray(kind: str, white_is_0: bool, byte_order: str, **options: object) -> tuple[bytes, np.ndarray]:
    stored, values = levels(kind, SAMPLES[..., 0])
    content = tiff(stored, photometric="miniswhite" if white_is_0 else "minisblack", byteorder=byte_order, **options)
    return content, 1 - values if white_is_0 else values


def gray_with_alpha(kind: str, planes: str) -> tuple[bytes, np.ndarray]:
    stored, values = levels(kind, SAMPLES[..., :2])
    pixels = np.moveaxis(stored, 2, 0) if planes == "separate" else stored
    content = tiff(pixels, photometric="minisblack", planarconfig=planes, extrasamples=["unassalpha"])
    return content, values[..., 0] * values[..., 1]


FILES = {
    **{
        f"colour {kind} {planes} {order}{' with alpha' if alpha else ''}": coloured(kind, planes, order, alpha)
        for kind, planes, order, alpha in product(TYPES, ("contig", "separate"), "<>", (False, True))
    },
    **{
        f"gray {kind} {order}{', white is 0' if white else ''}": gray(kind, white, order)
        for kind, white, order in product(TYPES, (False, True), "<>")
    },
    **{f"gray {kind} with alpha, {planes}": gray_with_alpha(kind, planes) for kind in TYPES for planes in ("contig", "separate")},
    **{f"{kind} planes, deflated": coloured(kind, "separate", "<", False, compression="zlib") for kind in ("u1", "u2")},
    "planes in tiles": coloured("u2", "separate", "<", False, tile=(16, 16)),
    "BigTIFF": gray("u2", False, "<", bigtiff=True),
    "big-endian BigTIFF": gray("u2", False, ">", bigtiff=True),
    "planes of a BigTIFF": coloured("u2", "separate", ">", False, bigtiff=True),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_tiff_is_read_with_its_values(tmp_path: Path, name: str) -> None:
    content, values = FILES[name]
    radiograph = read_radiograph(written(tmp_path / "x.tif", content))
    assert radiograph.file_format == "TIFF"
    assert radiograph.pixels.dtype == np.float32
    np.testing.assert_allclose(radiograph.pixels, values, rtol=0, atol=0.02 if "u1" in name or "i1" in name else 0.006)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_planes_are_turned_upright_as_other_tiffs_are(tmp_path: Path, orientation: int) -> None:
    tag = [(274, 3, 1, orientation, True)]
    content, _ = coloured("u2", "separate", "<", False, extratags=tag)
    other, _ = coloured("u2", "contig", "<", False, extratags=tag)
    planes, whole = (read_radiograph(written(tmp_path / "x.tif", file)).pixels for file in (content, other))
    np.testing.assert_allclose(planes, whole, rtol=0, atol=0.006)


REALS = SAMPLES[..., :3].astype(np.float32)
PAGES = io.BytesIO()
tifffile.imwrite(PAGES, np.moveaxis(REALS, 2, 0)[:2], photometric="minisblack", bigtiff=True)
# name: file, a pattern of its reason
BAD = {
    "real colours beyond 1": (tiff(REALS * 9, photometric="rgb"), "values from .* beyond 0 to 1$"),
    "negative colours": (tiff(-(REALS * 99).astype(np.int16), photometric="rgb"), "beyond 0 to 32767$"),
    "negative bytes": (tiff(-(GRAY // 3).astype(np.int8)), "beyond 0 to 127$"),
    "negative levels": (tiff(-(GRAY // 3).astype(np.int16)), "integers below 0"),
    "colours of 32 bits": (tiff((REALS * 2**31).astype(np.uint32), photometric="rgb"), "beyond 0 to 65535$"),
    "two pages": (PAGES.getvalue(), "2 pages or frames, one expected|axes"),
    **{
        f"a stack of gray {planes}, {compression}": (
            tiff(pixels, photometric="minisblack", planarconfig=planes, compression=compression),
            "of 3 gray samples, one expected$",
        )
        for planes, pixels in (("separate", RNG.integers(0, 256, (3, 24, 32), np.uint8)), ("contig", RGB))
        for compression in (None, "zlib")
    },
    "palette of 16 bits": (
        tiff(DEEP, photometric="palette", colormap=RNG.integers(0, 65_536, (3, 65_536), np.uint16)),
        "PALETTE;16, gray or RGB expected; save it as one of these$",
    ),
    "16-bit planes of CMYK": (
        tiff(np.moveaxis(DEEP_CMYK, 2, 0), photometric="separated", planarconfig="separate"),
        "SEPARATED;16, gray or RGB expected",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_tiff_that_cannot_be_used_gives_its_reason(tmp_path: Path, name: str) -> None:
    content, reason = BAD[name]
    with pytest.raises(UnreadableImage, match=reason):
        read_radiograph(written(tmp_path / "x.tif", content))


@pytest.mark.parametrize("name", ["colour u2 separate <", "gray f8 <", "BigTIFF", "u2 planes, deflated"])
@pytest.mark.parametrize("part", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_a_truncated_tiff_is_refused(tmp_path: Path, name: str, part: float) -> None:
    content = FILES[name][0]
    with pytest.raises(UnreadableImage):
        read_radiograph(written(tmp_path / "x.tif", content[: int(len(content) * part)]))


def test_a_png_with_wrong_checksums_is_refused(tmp_path: Path) -> None:
    content = encoded(Image.fromarray(GRAY), "PNG")
    for at in range(content.index(b"IDAT") + 4, content.index(b"IEND") - 4):  # the data and their checksum
        changed = bytearray(content)
        changed[at] ^= 0x55
        with pytest.raises(UnreadableImage):
            read_radiograph(written(tmp_path / "x.png", bytes(changed)))


def test_an_error_that_the_reader_only_logs_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content, values = coloured("u2", "separate", "<", False)

    def asarray(page: tifffile.TiffPage) -> np.ndarray:
        logging.getLogger("tifffile").error("corrupted strip")
        return np.moveaxis(np.repeat(values[..., None], 3, axis=2), 2, 0)

    monkeypatch.setattr(tifffile.TiffPage, "asarray", asarray)
    with pytest.raises(UnreadableImage, match=r"^a damaged TIFF: its reader reports an error$"):
        read_radiograph(written(tmp_path / "x.tif", content))
