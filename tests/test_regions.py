"""Boxes and masks move with their image: resized, padded, stretched, and rendered on pixels."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from bonexray.denoise.settings import Denoise
from bonexray.images.reading import bounded, write_png16
from bonexray.prepare.regions import prepare_regions
from bonexray.prepare.resizing import placement, prepare_image
from bonexray.prepare.settings import Prepare
from bonexray.regions.files import ORIGINAL, ORIGINAL_COLUMNS, box_masks, boxes_by_image, read_boxes
from bonexray.regions.geometry import Box, Placement, bounding_box, inside, placed

sides = st.integers(24, 90)


def settings(img_px: int, resize: str) -> Prepare:
    return Prepare.model_validate({"img_px": img_px, "resize": resize})


@given(
    height=sides,
    width=sides,
    working=st.integers(32, 64),
    side=st.integers(24, 64),
    resize=st.sampled_from(["pad", "stretch"]),
    data=st.data(),
)
def test_a_box_lies_where_its_part_of_the_image_does(
    height: int, width: int, working: int, side: int, resize: str, data: st.DataObject
) -> None:
    """A white rectangle goes through the working size and the square; its middle stays the middle of its box."""
    left, right = sorted(data.draw(st.lists(st.integers(0, width), min_size=2, max_size=2, unique=True)))
    top, bottom = sorted(data.draw(st.lists(st.integers(0, height), min_size=2, max_size=2, unique=True)))
    pixels = np.zeros((height, width), np.float32)
    pixels[top:bottom, left:right] = 1
    pixels[0, 0] = max(pixels[0, 0], 1e-3)
    filtered = bounded(pixels, working)
    place = placement(*filtered.shape, settings(side, resize))
    box = placed(Box(left, top, right, bottom), height, width, place)
    square = prepare_image(filtered, settings(side, resize)).astype(float)
    weight, centres = square.sum(), np.arange(side) + 0.5
    middle = (square.sum(axis=0) @ centres / weight, square.sum(axis=1) @ centres / weight)
    assert middle == pytest.approx(((box.left + box.right) / 2, (box.top + box.bottom) / 2), abs=1.0)
    assert place.left - 1e-9 <= box.left < box.right <= place.left + place.width + 1e-9
    assert place.top - 1e-9 <= box.top < box.bottom <= place.top + place.height + 1e-9


@given(height=sides, width=sides, side=st.integers(8, 64), resize=st.sampled_from(["pad", "stretch"]))
def test_the_whole_image_is_its_own_place(height: int, width: int, side: int, resize: str) -> None:
    place = placement(height, width, settings(side, resize))
    whole = placed(Box(0, 0, width, height), height, width, place)
    assert whole == pytest.approx((place.left, place.top, place.left + place.width, place.top + place.height))
    assert side in (place.height, place.width) and max(place.height, place.width) == side
    assert abs(2 * place.left + place.width - side) <= 1 and abs(2 * place.top + place.height - side) <= 1


def test_a_box_keeps_its_share_of_the_image() -> None:
    place = Placement(top=10, left=0, height=20, width=40)
    assert placed(Box(25, 0, 50, 25), 50, 100, place) == Box(10, 10, 20, 20)


@pytest.mark.parametrize(
    ("box", "pixels"),
    [
        (Box(1, 2, 3, 4), {(2, 1), (2, 2), (3, 1), (3, 2)}),
        (Box(0.6, 0.6, 2.4, 1.4), {(1, 1)}),
        (Box(1.6, 2.6, 1.9, 2.8), {(2, 1)}),
        (Box(0, 0, 1, 1), {(0, 0)}),
    ],
    ids=["whole pixels", "centres only", "smaller than a pixel", "corner"],
)
def test_pixels_are_inside_if_their_centre_is(box: Box, pixels: set[tuple[int, int]]) -> None:
    assert {tuple(map(int, place)) for place in np.argwhere(inside([box], 6))} == pixels


def test_several_boxes_are_joined_and_none_is_empty() -> None:
    assert inside([Box(0, 0, 2, 1), Box(1, 0, 3, 1)], 4).sum() == 3
    assert not inside([], 4).any()


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), min_size=1, max_size=5))
def test_the_bounding_box_of_a_mask_holds_it_and_touches_it(places: list[tuple[int, int]]) -> None:
    mask = np.zeros((8, 8), bool)
    for place in places:
        mask[place] = True
    box = bounding_box(mask)
    rows, columns = np.nonzero(mask)
    assert box == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)


# The stage


def lay_out(folder: Path, monkeypatch: pytest.MonkeyPatch, rows: list[tuple], masks: dict[str, np.ndarray]) -> None:
    """Filtered images of 24 x 48 px, and the regions that the stage `split` leaves; images were 48 x 96 px."""
    monkeypatch.chdir(folder)
    for name in "abc":
        (folder / "data/denoised").mkdir(parents=True, exist_ok=True)
        write_png16(folder / "data/denoised" / f"{name}.png", np.random.default_rng(1).random((24, 48)))
    (folder / ORIGINAL / "masks").mkdir(parents=True)
    pd.DataFrame(rows, columns=ORIGINAL_COLUMNS).to_csv(folder / ORIGINAL / "boxes.csv", index=False)
    for name, mask in masks.items():
        Image.fromarray((mask * 255).astype(np.uint8)).save(folder / ORIGINAL / "masks" / f"{name}.png")
    (folder / "data/prepared").mkdir()
    prepare_regions(Path("data/denoised"), list("abc"), Path("data/prepared"), settings(32, "pad"))


def test_a_study_without_regions_gets_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lay_out(tmp_path, monkeypatch, [], {})
    assert not list(Path("data/prepared").iterdir())
    assert read_boxes().empty and not box_masks(["a"], read_boxes(), 8).any()


def test_boxes_and_outlines_reach_the_square(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mask = np.zeros((48, 96), bool)
    mask[24:48, 48:96] = True
    rows = [("a", 0, 0, 48, 24, 48, 96, 0), ("c", 48, 24, 96, 48, 48, 96, 1)]
    lay_out(tmp_path, monkeypatch, rows, {"c": mask})
    boxes = boxes_by_image(read_boxes())
    assert boxes == {"a": [Box(0, 8, 16, 16)], "c": [Box(16, 16, 32, 24)]}
    masks = np.load("data/prepared/masks.npy")
    assert masks.shape == (3, 32, 32) and masks.dtype == np.float32
    assert masks[0].sum() == 16 * 8 and masks[0, 8:16, :16].all()  # without an outline, the box
    assert not masks[1].any()
    np.testing.assert_allclose(masks[2], inside(boxes["c"], 32), atol=0.51)  # the edge is shared by two pixels
    assert masks[2].sum() == pytest.approx(16 * 8, rel=0.02)
    assert read_boxes()["mask"].tolist() == [0, 1]


def test_the_working_size_does_not_move_a_box() -> None:
    """Rounding of the size in between moves an edge by less than half a pixel of the square."""
    longer = Denoise().working_px
    for height, width in ((2000, 1501), (301, 997)):
        filtered = bounded(np.zeros((height, width), np.float32), longer)
        direct, through = (placement(*shape, settings(80, "pad")) for shape in ((height, width), filtered.shape))
        box = Box(0.2 * width, 0.1 * height, 0.7 * width, 0.9 * height)
        one, other = (placed(box, height, width, place) for place in (direct, through))
        assert one == pytest.approx(other, abs=1.0)
