"""Confusion matrices: of one model, and of all side by side."""

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
LABEL = 1.5  # inches that a class name may take beside the matrix
GAP = 0.3  # inches between matrices
READING = "row: actual class, column: predicted class; number: images; shade: share of the actual class"


@dataclass(frozen=True)
class Plan:
    """Sizes in inches that all matrices of a figure share.

    Attributes:
        cell: side of a cell.
        side: of a matrix.
        left: names of the rows, wrapped.
        below: names of the columns, wrapped.
        upright: whether the columns' names are turned by 90 degrees.
        left_width: room that the rows' names take.
        below_height: room that the columns' names take.
    """

    cell: float
    side: float
    left: list[str]
    below: list[str]
    upright: bool
    left_width: float
    below_height: float


def confusion_matrix(counts: Counts, title: str, path: Path) -> None:
    """Images by actual and predicted class; the shade is the share of the actual class."""
    plan = _plan([counts], least=2.7)
    width = max(2 * PAD + plan.left_width + plan.side + 0.4, 4.2)
    head, small, top = fit_head(title, width, READING)
    drawing, surface = board(width, top + plan.side + plan.below_height + 0.1 + PAD)
    write_head(surface, head, small)
    x = PAD + plan.left_width
    _matrix(surface, x, top, counts, plan)
    _names_left(surface, x, top, plan)
    _names_below(surface, x, top + plan.side, plan)
    save(drawing, path)


def confusion_grid(models: Mapping[str, Counts], path: Path) -> None:
    """The confusion matrices of all models side by side, with the names of the classes at the left and below."""
    plan = _plan(list(models.values()), least=1.8)
    columns = min(3 if len(models) <= 9 else 5, len(models))
    rows = -(-len(models) // columns)
    width = max(2 * PAD + plan.left_width + columns * (plan.side + GAP), 4.2)
    head, small, top = fit_head("", width, READING)
    titles = fit_distinct(models, plan.side + GAP - 0.08, TEXT, 3)
    room = max(height_of(title, TEXT) for title in titles) + 0.1
    drawing, surface = board(width, top + rows * (room + plan.side + 0.12) + plan.below_height + PAD)
    write_head(surface, head, small)
    for place, (title, counts) in enumerate(zip(titles, models.values(), strict=True)):
        x = PAD + plan.left_width + place % columns * (plan.side + GAP)
        y = top + room + place // columns * (room + plan.side + 0.12)
        surface.text(x, y - 0.05, title, size=TEXT, va="bottom")
        _matrix(surface, x, y, counts, plan)
        if place % columns == 0:
            _names_left(surface, x, y, plan)
        if place + columns >= len(models):
            _names_below(surface, x, y + plan.side, plan)
    save(drawing, path)


def _plan(matrices: Sequence[Counts], least: float) -> Plan:
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
    return Plan(
        cell, cell * len(names), left, below, upright, max(width_of(n, SMALL) for n in left) + 0.1, depth + 0.08
    )


def _matrix(surface: Axes, x: float, y: float, counts: Counts, plan: Plan) -> None:
    names = list(counts)
    matrix = np.array([[counts[actual][predicted] for predicted in names] for actual in names])
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    box = (x, x + plan.side, y + plan.side, y)
    surface.imshow(share, cmap=COLOURS, vmin=0, vmax=1, extent=box, aspect="auto", interpolation="nearest")
    surface.add_patch(Rectangle((x, y), plan.side, plan.side, fill=False, color=GRAY, linewidth=0.8))
    for (row, column), count in np.ndenumerate(matrix):
        surface.text(
            x + (column + 0.5) * plan.cell,
            y + (row + 0.5) * plan.cell,
            count,
            size=TEXT,
            ha="center",
            va="center",
            color=text_colour(COLOURS(share[row, column])),
        )


def _names_left(surface: Axes, x: float, y: float, plan: Plan) -> None:
    for place, name in enumerate(plan.left):
        surface.text(x - 0.06, y + (place + 0.5) * plan.cell, name, size=SMALL, ha="right", va="center")


def _names_below(surface: Axes, x: float, y: float, plan: Plan) -> None:
    for place, name in enumerate(plan.below):
        surface.text(
            x + (place + 0.5) * plan.cell,
            y + 0.06,
            name,
            size=SMALL,
            ha="center",
            va="top",
            rotation=90 if plan.upright else 0,
            multialignment="right" if plan.upright else "center",
        )
