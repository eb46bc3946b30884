"""The files that carry regions from stage to stage; a study without regions has only an empty table of the first."""

from pathlib import Path

import numpy as np
import pandas as pd

from bonexray.regions.geometry import Box, inside

# From the stage `split`: boxes.csv, in pixels of the image as it is read, and masks/<id>.png.
ORIGINAL = Path("data/split/regions")
ORIGINAL_COLUMNS = ["id", *Box._fields, "height", "width", "mask"]
# From the stage `prepare`, only where there are regions, in pixels of the prepared images.
BOXES, MASKS = Path("data/prepared/boxes.csv"), Path("data/prepared/masks.npy")
COLUMNS = ["id", *Box._fields, "mask"]


def read_original(folder: Path = ORIGINAL) -> pd.DataFrame:
    """Return the regions of the images as they are read, one row a box: `ORIGINAL_COLUMNS`.

    `mask` is 1 if masks/<id>.png in the folder has the outline of the image's regions.
    """
    return pd.read_csv(folder / "boxes.csv", dtype={"id": str})


def read_boxes(path: Path = BOXES) -> pd.DataFrame:
    """Return the boxes in prepared images, one row a box: `COLUMNS`; no rows if the study has none.

    `mask` is 1 if the row of the image in masks.npy is an outline, and 0 if it is the boxes.
    """
    if not path.is_file():
        return pd.DataFrame(columns=COLUMNS)
    return pd.read_csv(path, dtype={"id": str})


def boxes_by_image(table: pd.DataFrame) -> dict[str, list[Box]]:
    """Return the boxes of each image by its id."""
    return {
        name: [Box(*row) for row in rows[list(Box._fields)].itertuples(index=False)]
        for name, rows in table.groupby("id", sort=False)
    }


def box_masks(ids: list[str], table: pd.DataFrame, px: int) -> np.ndarray:
    """Return bool (images, px, px), True in the boxes of each image."""
    boxes = boxes_by_image(table)
    return np.stack([inside(boxes.get(name, ()), px) for name in ids])
