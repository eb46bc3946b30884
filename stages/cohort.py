"""Count the images of each class and split, and show samples of each class."""

import numpy as np
import pandas as pd

from bonexray.base.config import StageSettings
from bonexray.base.files import atomic_folder
from bonexray.data.arrays import ArrayFile
from bonexray.data.folds import folds_of
from bonexray.data.manifest import SPLITS, read_classes, read_manifest
from bonexray.data.paths import IMAGES
from bonexray.figures.images.cohort import class_counts
from bonexray.figures.images.galleries import image_gallery
from bonexray.stage import run_stage

SAMPLES = 6


def main(settings: StageSettings) -> None:
    """Write reports/cohort/class_counts.png and sample_gallery.png."""
    manifest, classes = read_manifest(), read_classes()
    images = ArrayFile(IMAGES)
    with atomic_folder("reports/cohort") as folder:
        class_counts(count_classes(manifest, classes), folder / "class_counts.png")
        samples = {name: images[first_of(manifest, name)] for name in classes}
        image_gallery(samples, "Samples of each class, as the networks get them", folder / "sample_gallery.png")


def count_classes(manifest: pd.DataFrame, classes: list[str]) -> dict[str, dict[str, int]]:
    """Return the number of images by split and class; with folds, of all folds together."""
    folds = folds_of(manifest)
    splits = pd.Series(f"{folds} folds", index=manifest.index) if folds > 1 else manifest["split"]
    names = [f"{folds} folds"] if folds > 1 else SPLITS
    return {split: {c: int(((splits == split) & (manifest["label"] == c)).sum()) for c in classes} for split in names}


def first_of(manifest: pd.DataFrame, label: str) -> np.ndarray:
    """Return the rows of the first training images of a class, one per group."""
    rows = manifest[(manifest["label"] == label) & (manifest["split"] == "train")]
    return rows.drop_duplicates("group").index[:SAMPLES].to_numpy()


if __name__ == "__main__":
    run_stage(main, StageSettings)
