"""Write where the findings are in the images of the manifest."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from bonexray.base.files import atomic_folder
from bonexray.dataset.boxes.annotation import UNREADABLE, Annotation
from bonexray.dataset.boxes.formats import read_annotations
from bonexray.dataset.boxes.masks import read_mask
from bonexray.dataset.settings import Dataset
from bonexray.regions.files import ORIGINAL, ORIGINAL_COLUMNS
from bonexray.split.audit import AuditedImage


def write_regions(dataset: Dataset, images: Sequence[AuditedImage], manifest: pd.DataFrame) -> int:
    """Write data/split/regions/: boxes.csv, without rows if the dataset has no boxes, and masks/<id>.png.

    Args:
        dataset: with `boxes`.
        images: all images of the dataset; annotations of those outside the manifest are checked and left out.
        manifest: rows of the images to keep.

    Returns:
        The number of images with regions.
    """
    sizes = {item.source.path: UNREADABLE if item.reason else (item.height, item.width) for item in images}
    annotations = read_annotations(dataset, sizes)
    kept = [row for row in manifest.itertuples() if row.path in annotations]
    rows = []
    with atomic_folder(ORIGINAL) as folder:
        for row in kept:
            annotation, size = annotations[row.path], sizes[row.path]
            if annotation.mask:
                _write_mask(folder / "masks" / f"{row.id}.png", annotation, size)
            rows += [(row.id, *box, *size, int(annotation.mask is not None)) for box in annotation.boxes]
        table = pd.DataFrame(rows, columns=ORIGINAL_COLUMNS)
        table.to_csv(folder / "boxes.csv", index=False, lineterminator="\n")
    return len(kept)


def _write_mask(target: Path, annotation: Annotation, size: tuple[int, int]) -> None:
    mask = read_mask(annotation.mask, annotation.mask.parent, size)
    target.parent.mkdir(exist_ok=True)
    Image.fromarray(np.where(mask, 255, 0).astype(np.uint8)).save(target, format="PNG")
