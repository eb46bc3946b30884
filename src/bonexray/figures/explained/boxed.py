"""Heat maps beside their images, with the boxes that they should find."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from bonexray.figures.canvas.canvas import GRAY, PAD, SMALL, VERMILION, board, draw_image, fit_head, save, write_head
from bonexray.figures.canvas.labels import fit_text, height_of
from bonexray.figures.explained.heatmaps import overlay

TILE, GAP, PAIRS = 1.7, 0.16, 2  # inches: side of an image, between two; images side by side
NOTE = "orange: box; colour: share of the strongest place; white line: half of it; x: strongest place"


@dataclass(frozen=True)
class Boxed:
    """An image with its boxes and a heat map.

    Attributes:
        image: float (px, px) in [0, 1].
        heat: float (px, px), at least 0.
        boxes: left, top, right and bottom of each, in pixels.
        label: the actual class.
    """

    image: np.ndarray
    heat: np.ndarray
    boxes: Sequence[tuple[float, float, float, float]]
    label: str


def boxed_maps(rows: Sequence[Boxed], title: str, path: Path) -> None:
    """Draw each image with its boxes, and beside it its heat map with the strongest place.

    Args:
        rows: the images, at least one.
        title: above all of them.
        path: the PNG to write.
    """
    width = 2 * PAD + PAIRS * (2 * TILE + 2 * GAP)
    head, small, top = fit_head(title, width, NOTE)
    room = height_of("x", SMALL) + 0.08
    drawing, surface = board(width, top + -(-len(rows) // PAIRS) * (TILE + GAP + room))
    write_head(surface, head, small)
    for place, row in enumerate(rows):
        x = PAD + place % PAIRS * (2 * TILE + 2 * GAP)
        y = top + place // PAIRS * (TILE + GAP + room) + room
        surface.text(x, y - 0.04, fit_text(row.label, 2 * TILE, SMALL, 1), size=SMALL, va="bottom")
        _image(surface, x, y, row)
        _image(surface, x + TILE + 0.04, y, row)
        _map(surface, x + TILE + 0.04, y, row)
    save(drawing, path)


def _image(surface: Axes, x: float, y: float, row: Boxed) -> None:
    draw_image(surface, x, y, TILE, row.image, GRAY, thick=1)
    scale = TILE / len(row.image)
    for left, top, right, bottom in row.boxes:
        corner, size = (x + left * scale, y + top * scale), ((right - left) * scale, (bottom - top) * scale)
        surface.add_patch(Rectangle(corner, *size, fill=False, color=VERMILION, linewidth=1.4, zorder=4))


def _map(surface: Axes, x: float, y: float, row: Boxed) -> None:
    strongest = row.heat.max()
    overlay(surface, x, y, row.heat / strongest if strongest > 0 else row.heat, TILE)
    if np.ptp(row.heat) > 0:
        down, across = np.unravel_index(row.heat.argmax(), row.heat.shape)
        scale = TILE / len(row.heat)
        surface.plot(x + (across + 0.5) * scale, y + (down + 0.5) * scale, "x", color="black", markersize=7, zorder=5)
        surface.plot(x + (across + 0.5) * scale, y + (down + 0.5) * scale, "x", color="white", markersize=5, zorder=6)
