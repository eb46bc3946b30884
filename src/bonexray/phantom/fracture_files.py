"""The files of the simulated fractures beside their images: boxes, masks, and the facts of each line."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from bonexray.phantom.fracture_simulation import SimulatedFracture

REGIONS = "regions"  # folder of boxes.csv and masks/, as `dataset.boxes` reads it
LINE = ("axial_mm", "angle_deg", "gap_mm", "opening", "reach", "shift_mm", "shortening_mm", "turn_deg")


def facts_of_line(image: SimulatedFracture) -> dict[str, object]:
    """Return the row of an image in truth.csv, but for its path; the facts of a line are empty without a fracture."""
    line = {name: f"{getattr(image.fracture, name):.4f}" if image.fracture else "" for name in LINE}
    return {
        "patient": image.patient,
        "label": image.label,
        "true_label": image.true_label,
        "t_score": f"{image.t_score:.4f}",
        **line,
        **asdict(image.record),
    }


def write_boxes(folder: Path, boxes: Sequence[tuple[str, tuple[float, float, float, float]]]) -> None:
    """Write regions/boxes.csv: the path of each image with a line, and its box in pixels."""
    rows = [(path, *(f"{edge:.2f}" for edge in box)) for path, box in boxes]
    (folder / REGIONS).mkdir(exist_ok=True)
    table = pd.DataFrame(rows, columns=["image", "left", "top", "right", "bottom"])
    table.to_csv(folder / REGIONS / "boxes.csv", index=False, lineterminator="\n")


def write_mask(folder: Path, path: str, mask: np.ndarray) -> None:
    """Write the mask of an image, white on the line, to regions/masks/ under the path of the image."""
    target = folder / REGIONS / "masks" / path
    target.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.where(mask, 255, 0).astype(np.uint8)).save(target, format="PNG")
