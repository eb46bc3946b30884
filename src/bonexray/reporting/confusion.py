"""Confusion matrices: of one model, and of all side by side."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from bonexray.reporting.figures import figure, save

Counts = Mapping[str, Mapping[str, int]]


def confusion_matrix(counts: Counts, title: str, path: Path) -> None:
    """Images by actual and predicted class; the shade is the share of the actual class."""
    drawing, axes = figure(width=4.2, height=3.9)
    _confusion(axes[0, 0], counts, title)
    save(drawing, path)


def confusion_grid(models: Mapping[str, Counts], path: Path) -> None:
    """The confusion matrices of all models side by side."""
    columns = min(3 if len(models) <= 9 else 5, len(models))
    drawing, axes = figure(
        -(-len(models) // columns), columns, width=3.9 * columns, height=3.6 * -(-len(models) // columns)
    )
    for axis, (title, counts) in zip(axes.flat, models.items(), strict=False):
        _confusion(axis, counts, title)
    for axis in axes.flat[len(models) :]:
        axis.set_axis_off()
    save(drawing, path)


def _confusion(axis: Axes, counts: Counts, title: str) -> None:
    names = list(counts)
    matrix = np.array([[counts[actual][predicted] for predicted in names] for actual in names])
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    axis.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(matrix):
        axis.text(
            column,
            row,
            count,
            ha="center",
            va="center",
            color="white" if share[row, column] > 0.5 else "black",
        )
    axis.set_xticks(range(len(names)), names, rotation=30, ha="right", rotation_mode="anchor")
    axis.set_yticks(range(len(names)), names)
    axis.set(xlabel="predicted", ylabel="actual", title=title)
    axis.spines[["left", "bottom"]].set_visible(False)
