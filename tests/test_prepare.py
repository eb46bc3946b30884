"""Prepared images: square, in the full range, and in the order of their ids."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bonexray.compute import Compute
from bonexray.data.arrays import ArrayFile
from bonexray.images.reading import read_image, write_png16
from bonexray.prepare.resizing import prepare_image, prepare_images
from bonexray.prepare.settings import Prepare

LOCAL = Compute(backend="local", scheduler=None)


def prepare(img_px: int, resize: str = "pad") -> Prepare:
    return Prepare.model_validate({"img_px": img_px, "resize": resize})


def random_image(seed: int, height: int, width: int) -> np.ndarray:
    return np.random.default_rng(seed).random((height, width)).astype(np.float32)


@given(
    seed=st.integers(0, 2**32 - 1),
    height=st.integers(2, 50),
    width=st.integers(2, 50),
    side=st.integers(8, 40),
    resize=st.sampled_from(["pad", "stretch"]),
)
def test_a_prepared_image_is_square_and_within_0_and_1(
    seed: int, height: int, width: int, side: int, resize: str
) -> None:
    square = prepare_image(random_image(seed, height, width), prepare(side, resize))
    assert square.shape == (side, side)
    assert square.dtype == np.float32
    assert 0 <= square.min() <= square.max() <= 1


@pytest.mark.parametrize("resize", ["pad", "stretch"])
def test_contrast_reaches_0_and_1(resize: str) -> None:
    pixels = 0.4 + 0.1 * random_image(0, 32, 32)
    square = prepare_image(pixels, prepare(32, resize))
    assert (square.min(), square.max()) == (0, 1)
    np.testing.assert_allclose(square, (pixels - pixels.min()) / np.ptp(pixels), rtol=0, atol=1e-6)


def test_a_constant_image_becomes_black() -> None:
    assert not prepare_image(np.full((20, 30), 0.5, np.float32), prepare(32)).any()


@pytest.mark.parametrize("shape", [(48, 24), (24, 48)], ids=["upright", "lying"])
def test_padding_is_black_centred_and_does_not_distort(shape: tuple[int, int]) -> None:
    pixels = np.full(shape, 0.9, np.float32)
    pixels[::2] = 0.5
    pixels[0, 0] = 0.1  # so that what is neither black nor padding is well above 0
    square = prepare_image(pixels, prepare(24))
    inside = square[:, 6:18] if shape[0] > shape[1] else square[6:18, :]
    assert square.sum() == inside.sum()
    assert inside.ravel()[1:].min() > 0.3
    assert inside.shape == (shape[0] // 2, shape[1] // 2)


def test_a_circle_stays_round_when_padded_and_not_when_stretched() -> None:
    y, x = np.mgrid[:96, :48]
    disk = (np.hypot(y - 47.5, x - 23.5) < 20).astype(np.float32)
    for resize, ratio in (("pad", 1), ("stretch", 0.5)):
        square = prepare_image(disk, prepare(48, resize)) > 0.5
        height, width = (int(square.any(axis=axis).sum()) for axis in (1, 0))
        assert height / width == pytest.approx(ratio, abs=0.06)


def test_prepared_images_are_in_the_order_of_their_ids(tmp_path: Path) -> None:
    ids = ["c", "a", "d", "b"]
    (tmp_path / "prepared").mkdir()
    for seed, image_id in enumerate(ids):
        write_png16(tmp_path / f"{image_id}.png", random_image(seed, 20, 30))
    prepare_images(tmp_path, ids, tmp_path / "prepared", prepare(32), LOCAL)
    array = ArrayFile(tmp_path / "prepared" / "images.npy")
    assert array.shape == (4, 32, 32)
    assert array.dtype == np.float32
    for row, image_id in enumerate(ids):
        np.testing.assert_array_equal(array[row], prepare_image(read_image(tmp_path / f"{image_id}.png"), prepare(32)))
    assert (tmp_path / "prepared" / "index.csv").read_text() == "row,id\n0,c\n1,a\n2,d\n3,b\n"
