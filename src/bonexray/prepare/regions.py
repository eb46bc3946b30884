"""Carry boxes and masks to the prepared images."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from bonexray.data.arrays import rows_of
from bonexray.images.reading import resized
from bonexray.prepare.resizing import placement
from bonexray.prepare.settings import Prepare
from bonexray.regions.files import BOXES, COLUMNS, MASKS, ORIGINAL, boxes_by_image, read_original
from bonexray.regions.geometry import Box, Placement, inside, placed


def prepare_regions(source: Path, ids: Sequence[str], target: Path, settings: Prepare) -> None:
    """Write boxes.csv and masks.npy, float32 (images, img_px, img_px) in [0, 1]; neither if no image has a region.

    Args:
        source: folder with the filtered images, `<id>.png`.
        ids: of the images, in the order of the array's rows.
        target: existing folder.
        settings: side in pixels, and whether to pad or stretch.
    """
    table = read_original()
    if table.empty:
        return
    places = {name: _place(source / f"{name}.png", settings) for name in table["id"].unique()}
    rows = [_moved(row, places[row.id]) for row in table.itertuples()]
    moved = pd.DataFrame(rows, columns=COLUMNS)
    moved.to_csv(target / BOXES.name, index=False, lineterminator="\n", float_format="%.4f")
    boxes, outlined = boxes_by_image(moved), set(table.loc[table["mask"] == 1, "id"])
    with rows_of(target / MASKS.name, (len(ids), settings.img_px, settings.img_px)) as append:
        for name in ids:
            if name in outlined:
                append(_outline(name, places[name], settings))
            else:
                append(inside(boxes.get(name, ()), settings.img_px))


def _place(filtered: Path, settings: Prepare) -> Placement:
    with Image.open(filtered) as image:
        return placement(image.height, image.width, settings)


def _moved(row, place: Placement) -> tuple:
    box = placed(Box(row.left, row.top, row.right, row.bottom), row.height, row.width, place)
    return row.id, *box, row.mask


def _outline(name: str, place: Placement, settings: Prepare) -> np.ndarray:
    """Return the share of each pixel that is in the outline of an image's regions."""
    with Image.open(ORIGINAL / "masks" / f"{name}.png") as image:
        share = resized(np.asarray(image, np.float32) / 255, place.height, place.width)
    square = np.zeros((settings.img_px, settings.img_px), np.float32)
    square[place.top : place.top + place.height, place.left : place.left + place.width] = share
    return square
