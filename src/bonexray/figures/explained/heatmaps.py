"""Images overlaid with the heat maps of a network."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes

from bonexray.figures.canvas.canvas import (
    BLUE,
    GRAY,
    PAD,
    SMALL,
    TEXT,
    VERMILION,
    board,
    draw_image,
    fit_head,
    plot_at,
    save,
    write_head,
)
from bonexray.figures.canvas.labels import fit_text, height_of

COLOURS, OPACITY = "cividis", 0.55  # lightness rises evenly: readable in gray print and by colour-blind readers
TILE, GAP = 2.3, 0.2  # inches: side of an image, and between two
BAR = 0.8  # inches for the colour bar and its numbers
NOTE = "colour: evidence for the class, as a share of the strongest place; white line: half of it"


@dataclass(frozen=True)
class Explained:
    """An image and its heat maps.

    Attributes:
        image: float (px, px) in [0, 1].
        predicted: name of the predicted class.
        actual: name of the actual class.
        probability: of the predicted class.
        actual_probability: of the actual class.
        heat: float (px, px) in [0, 1], for the predicted class.
        actual_heat: the same for the actual class.
    """

    image: np.ndarray
    predicted: str
    actual: str
    probability: float
    actual_probability: float
    heat: np.ndarray
    actual_heat: np.ndarray


def heat_maps(rows: Sequence[Explained], title: str, path: Path) -> None:
    """Draw a row for each image: itself, the map of the predicted class, and that of the actual class if it differs.

    Args:
        rows: the images, at least one.
        title: above all of them.
        path: the PNG to write.
    """
    columns = 3 if any(row.predicted != row.actual for row in rows) else 2
    right = PAD + columns * (TILE + GAP)
    head, small, top = fit_head(title, right + BAR, NOTE)
    headings = [_headings(row) for row in rows]
    rooms = [max(height_of(text, TEXT) for text in texts) + 0.1 for texts in headings]
    height = top + sum(rooms) + len(rows) * (TILE + GAP)
    drawing, surface = board(right + BAR, height)
    write_head(surface, head, small)
    y = top
    for row, texts, room in zip(rows, headings, rooms, strict=True):
        y += room
        _row(surface, y, row, texts)
        y += TILE + GAP
    bar = plot_at(drawing, right, top + rooms[0], 0.15, TILE)
    drawing.colorbar(mpl.cm.ScalarMappable(mpl.colors.Normalize(0, 1), COLOURS), cax=bar, alpha=OPACITY)
    bar.tick_params(labelsize=SMALL)
    save(drawing, path)


def verdict(heat: np.ndarray) -> str | None:
    """Return the text for a heat map (px, px) without contrast: no evidence, or the same everywhere; else None."""
    if np.ptp(heat) > 0:
        return None
    return "every place speaks alike\nfor this class" if heat.flat[0] > 0 else "nothing speaks\nfor this class"


def _headings(row: Explained) -> list[str]:
    """Return the text above each image of a row."""
    correct = row.predicted == row.actual
    texts = [
        f"{'right' if correct else 'wrong'}\nactual: {row.actual}",
        f"predicted: {row.predicted} ({row.probability:.2f})",
        f"actual: {row.actual} ({row.actual_probability:.2f})",
    ]
    return [fit_text(text, TILE + GAP / 2, TEXT, 4) for text in texts[: 2 if correct else 3]]


def _row(surface: Axes, y: float, row: Explained, headings: Sequence[str]) -> None:
    frame = BLUE if row.predicted == row.actual else VERMILION
    for column, heading in enumerate(headings):
        x = PAD + column * (TILE + GAP)
        surface.text(x, y - 0.06, heading, size=TEXT, va="bottom")
        draw_image(surface, x, y, TILE, row.image, GRAY if column else frame)
        if column:
            overlay(surface, x, y, row.heat if column == 1 else row.actual_heat)


def overlay(surface: Axes, x: float, y: float, heat: np.ndarray, side: float = TILE) -> None:
    """Draw a heat map (px, px) in [0, 1] over an image, a square of `side` inches whose upper left corner is (x, y)."""
    text = verdict(heat)
    if text:
        box = {"facecolor": "white", "edgecolor": GRAY, "boxstyle": "round"}
        surface.text(x + side / 2, y + side / 2, text, ha="center", va="center", size=TEXT, bbox=box)
        return
    extent = (x, x + side, y + side, y)
    surface.imshow(heat, cmap=COLOURS, vmin=0, vmax=1, alpha=OPACITY, extent=extent, aspect="auto")
    down, across = ((np.arange(size) + 0.5) * side / size for size in heat.shape)
    surface.contour(x + across, y + down, heat, levels=[0.5], colors="white", linewidths=1.2)
