"""Confusion matrices of one model, and of all models side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from bonexray.figures.canvas.canvas import GRAY, PAD, SMALL, TEXT, board, fit_head, save, text_colour, write_head
from bonexray.figures.canvas.labels import fit_distinct, fit_text, height_of, width_of

Counts = Mapping[str, Mapping[str, int]]
COLOURS = mpl.colormaps["Blues"]
LABEL = 1.5  # inches for the name of a class beside the matrix
GAP = 0.3  # inches between matrices
READING = "row: actual class, column: predicted class; number: images; shade: share of the actual class"


@dataclass(frozen=True)
class _Layout:
    """The sizes in inches and labels that all matrices of a figure share.

    Attributes:
        cell: side of a cell.
        side: of a matrix.
        left: names of the rows, wrapped.
        below: names of the columns, wrapped.
        upright: whether the columns' names are turned by 90 degrees.
        left_width: of the rows' names.
        below_height: of the columns' names.
    """

    cell: float
    side: float
    left: list[str]
    below: list[str]
    upright: bool
    left_width: float
    below_height: float


def confusion_matrix(counts: Counts, title: str, path: Path) -> None:
    """Draw the number of images by actual and predicted class, shaded by the share of the actual class."""
    layout = _layout([counts], least=2.7)
    width = max(2 * PAD + layout.left_width + layout.side + 0.4, 4.2)
    head, small, top = fit_head(title, width, READING)
    drawing, surface = board(width, top + layout.side + layout.below_height + 0.1 + PAD)
    write_head(surface, head, small)
    x = PAD + layout.left_width
    _matrix(surface, x, top, counts, layout)
    _names_left(surface, x, top, layout)
    _names_below(surface, x, top + layout.side, layout)
    save(drawing, path)


def confusion_grid(models: Mapping[str, Counts], path: Path) -> None:
    """Draw the confusion matrices of all models, with the names of the classes at the left and below."""
    layout = _layout(list(models.values()), least=1.8)
    columns = min(3 if len(models) <= 9 else 5, len(models))
    rows = -(-len(models) // columns)
    width = max(2 * PAD + layout.left_width + columns * (layout.side + GAP), 4.2)
    head, small, top = fit_head("", width, READING)
    titles = fit_distinct(models, layout.side + GAP - 0.08, TEXT, 3)
    room = max(height_of(title, TEXT) for title in titles) + 0.1
    drawing, surface = board(width, top + rows * (room + layout.side + 0.12) + layout.below_height + PAD)
    write_head(surface, head, small)
    for number, (title, counts) in enumerate(zip(titles, models.values(), strict=True)):
        x = PAD + layout.left_width + number % columns * (layout.side + GAP)
        y = top + room + number // columns * (room + layout.side + 0.12)
        surface.text(x, y - 0.05, title, size=TEXT, va="bottom")
        _matrix(surface, x, y, counts, layout)
        if number % columns == 0:
            _names_left(surface, x, y, layout)
        if number + columns >= len(models):
            _names_below(surface, x, y + layout.side, layout)
    save(drawing, path)


def _layout(matrices: Sequence[Counts], least: float) -> _Layout:
    names = list(matrices[0])
    largest = max(count for counts in matrices for row in counts.values() for count in row.values())
    cell = max(0.4, width_of(f"{largest}", TEXT) + 0.14, least / len(names))
    left = fit_distinct(names, LABEL, SMALL, max(1, int(cell / height_of("", SMALL))))
    room = cell - 0.06
    upright = any(
        width_of(word, SMALL) > room or fit_text(name, room, SMALL, 99).count("\n") > 2
        for name in names
        for word in name.split()
    )
    below = left if upright else fit_distinct(names, room, SMALL, 3)
    depth = max(width_of(name, SMALL) if upright else height_of(name, SMALL) for name in below)
    return _Layout(
        cell, cell * len(names), left, below, upright, max(width_of(n, SMALL) for n in left) + 0.1, depth + 0.08
    )


def _matrix(surface: Axes, x: float, y: float, counts: Counts, layout: _Layout) -> None:
    names = list(counts)
    matrix = np.array([[counts[actual][predicted] for predicted in names] for actual in names])
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    box = (x, x + layout.side, y + layout.side, y)
    surface.imshow(share, cmap=COLOURS, vmin=0, vmax=1, extent=box, aspect="auto", interpolation="nearest")
    surface.add_patch(Rectangle((x, y), layout.side, layout.side, fill=False, color=GRAY, linewidth=0.8))
    for (row, column), count in np.ndenumerate(matrix):
        surface.text(
            x + (column + 0.5) * layout.cell,
            y + (row + 0.5) * layout.cell,
            count,
            size=TEXT,
            ha="center",
            va="center",
            color=text_colour(COLOURS(share[row, column])),
        )


def _names_left(surface: Axes, x: float, y: float, layout: _Layout) -> None:
    for row, name in enumerate(layout.left):
        surface.text(x - 0.06, y + (row + 0.5) * layout.cell, name, size=SMALL, ha="right", va="center")


def _names_below(surface: Axes, x: float, y: float, layout: _Layout) -> None:
    for column, name in enumerate(layout.below):
        surface.text(
            x + (column + 0.5) * layout.cell,
            y + 0.06,
            name,
            size=SMALL,
            ha="center",
            va="top",
            rotation=90 if layout.upright else 0,
            multialignment="right" if layout.upright else "center",
        )
