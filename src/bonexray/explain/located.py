"""The images with regions, as the scores of heat maps need them."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from bonexray.data.arrays import ArrayFile
from bonexray.data.folds import FIRST, split_in
from bonexray.data.manifest import read_manifest
from bonexray.data.paths import IMAGES
from bonexray.explain.localisation_scores import LocalisationScores, joined, pyramid, score_maps
from bonexray.regions.files import BOXES, MASKS, box_masks, read_boxes
from bonexray.regions.geometry import Box

BATCH_IMAGES = 32
CENTRE, MEAN_BOX = "centre", "mean_box"


@dataclass(frozen=True)
class Located:
    """The validation and test images with regions, in the first training of every model.

    Attributes:
        rows: row (in the arrays), id, group, split and label of each image.
        boxes: bool (images, px, px), True in the boxes.
        has_outline: bool (images,).
        mean_box: the mean edges of the boxes of training.
    """

    rows: pd.DataFrame
    boxes: np.ndarray
    has_outline: np.ndarray
    mean_box: Box

    @property
    def is_test(self) -> np.ndarray:
        """Return bool (images,), True for test images."""
        return (self.rows["split"] == "test").to_numpy()

    def only(self, positions: np.ndarray) -> "Located":
        """Return the images at some positions."""
        rows = self.rows.iloc[positions].reset_index(drop=True)
        return replace(self, rows=rows, boxes=self.boxes[positions], has_outline=self.has_outline[positions])

    def samples(self, count: int) -> np.ndarray:
        """Return the positions of some test images, of each class in turn."""
        test = self.rows[self.is_test]
        turns = test.groupby("label", sort=False).cumcount()
        return test.index.to_numpy()[np.argsort(turns.to_numpy(), kind="stable")[:count]]

    def batches(self) -> list[np.ndarray]:
        """Return the positions of the images, a batch at a time."""
        return np.array_split(np.arange(len(self.rows)), max(1, -(-len(self.rows) // BATCH_IMAGES)))

    def images(self, positions: np.ndarray) -> np.ndarray:
        """Return prepared images, float (n, px, px)."""
        return ArrayFile(IMAGES)[self.rows["row"].to_numpy()[positions]]

    def score(self, heat: np.ndarray, positions: np.ndarray) -> LocalisationScores:
        """Score heat maps (n, px, px) of the images at some positions."""
        outlines = ArrayFile(MASKS)[self.rows["row"].to_numpy()[positions]].astype(float)
        outlines[~self.has_outline[positions]] = np.nan
        return score_maps(heat, self.boxes[positions], outlines)

    def references(self) -> dict[str, LocalisationScores]:
        """Return the scores of two answers that see no image: the centre, and the mean box of training."""
        px = self.boxes.shape[1]
        maps = {CENTRE: pyramid(px, 0, 0, px, px), MEAN_BOX: pyramid(px, *self.mean_box)}
        return {
            name: joined([self.score(np.repeat(heat[None], len(part), axis=0), part) for part in self.batches()])
            for name, heat in maps.items()
        }


def read_located() -> Located | None:
    """Read the images with regions; None if the study has none in test or none in training."""
    if not BOXES.is_file():
        return None
    table, manifest = read_boxes(), read_manifest()
    manifest = manifest.assign(row=range(len(manifest)), split=split_in(manifest, FIRST.fold))
    located = manifest[manifest["id"].isin(table["id"])]
    trained = table[table["id"].isin(located.loc[located["split"] == "train", "id"])]
    rows = located[located["split"].isin(["val", "test"])].reset_index(drop=True)
    if trained.empty or not (rows["split"] == "test").any():
        return None
    px = ArrayFile(IMAGES).shape[1]
    return Located(
        rows=rows[["row", "id", "group", "split", "label"]],
        boxes=box_masks(list(rows["id"]), table, px),
        has_outline=rows["id"].isin(table.loc[table["mask"] == 1, "id"]).to_numpy(),
        mean_box=Box(*trained[list(Box._fields)].mean()),
    )
