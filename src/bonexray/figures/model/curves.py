"""Learning curves of one model, and of all models side by side."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from bonexray.data.paths import PENALTY
from bonexray.figures.canvas.canvas import (
    BLUE,
    GRAY,
    GREEN,
    ORANGE,
    PAD,
    PALE,
    SMALL,
    TEXT,
    board,
    fit_head,
    plot_at,
    save,
    write_head,
)
from bonexray.figures.canvas.labels import fit_distinct, height_of

COLUMNS = 5


def learning_curves(history: pd.DataFrame, title: str, path: Path) -> None:
    """Draw accuracy and log loss of training and validation over the epochs, with the kept epoch and fine-tuning marked.

    Args:
        history: one row per epoch: epoch, phase, accuracy, log_loss, val_accuracy, val_log_loss. The rows of the phase
            `penalty` are those of a linear head, from the weakest to the strongest.
        title: above both panels.
        path: the PNG to write.
    """
    best = history.loc[history["val_log_loss"].idxmin(), "epoch"]
    second = history.loc[history["phase"] != history["phase"].iloc[0], "epoch"].min()
    unit = "penalty, weak to strong" if (history["phase"] == PENALTY).all() else "epoch"
    head, small, top = fit_head(title, 8)
    drawing, surface = board(8, top + 3.2)
    write_head(surface, head, small)
    for x, name in zip((0.7, 4.6), ("accuracy", "log_loss"), strict=True):
        axis = plot_at(drawing, x, top + 0.35, 3.2, 2.3)
        axis.plot(history["epoch"], history[name], color=BLUE, marker=".", label="training")
        axis.plot(history["epoch"], history[f"val_{name}"], "s--", color=ORANGE, markersize=3, label="validation")
        axis.axvline(best, color=GRAY, linewidth=1, linestyle=":", label=f"kept: {unit.split(',')[0]} {best}")
        if np.isfinite(second):
            axis.axvspan(second - 0.5, history["epoch"].max() + 0.5, color=GREEN, alpha=0.12, label="fine-tuning")
        axis.set_xlim(0.5, max(2, history["epoch"].max()) + 0.5)
        axis.set_xlabel(unit, size=TEXT)
        axis.set_ylabel(name.replace("_", " "), size=TEXT)
        axis.xaxis.set_major_locator(mpl.ticker.MaxNLocator(integer=True))
        if name == "accuracy":
            axis.set_ylim(0, 1)
    keys = axis.get_legend_handles_labels()
    drawing.legend(
        *keys,
        loc="upper left",
        bbox_to_anchor=(0.06, 1 - (top - 0.06) / (top + 3.2)),
        ncols=4,
        frameon=False,
        fontsize=TEXT,
    )
    save(drawing, path)


def learning_overlay(histories: Mapping[str, pd.DataFrame], path: Path, chosen: str | None = None) -> None:
    """Draw the validation log loss of every model, one panel per model, with all others behind it in gray.

    Args:
        histories: title to history, see `learning_curves`.
        path: the PNG to write.
        chosen: title of the model chosen on validation.
    """
    columns = min(COLUMNS, len(histories))
    wide, high = 1.75, 1.05
    names = fit_distinct([f"* {title}" if title == chosen else title for title in histories], wide, SMALL, 2)
    room = max(height_of(name, SMALL) for name in names) + 0.1
    width = max(0.85 + columns * (wide + 0.25) + PAD, 5.5)
    note = "square: the kept epoch and its log loss; gray: all other models; the scale is logarithmic"
    head, small, top = fit_head(
        "Validation log loss over the epochs, or penalties of a linear head",
        width,
        note + ("; *: chosen on validation" * bool(chosen)),
    )
    rows = -(-len(histories) // columns)
    drawing, surface = board(width, top + rows * (room + high + 0.15) + 0.5)
    write_head(surface, head, small)
    lines = [frame[["epoch", "val_log_loss"]].to_numpy(float) for frame in histories.values()]
    for number, (title, name) in enumerate(zip(histories, names, strict=True)):
        x, y = 0.85 + number % columns * (wide + 0.25), top + room + number // columns * (room + high + 0.15)
        surface.text(x, y - 0.04, name, size=SMALL, va="bottom", color=BLUE if title == chosen else "black")
        axis = plot_at(drawing, x, y, wide, high)
        _draw_loss(axis, lines, number, BLUE if title == chosen else "black")
        axis.tick_params(
            labelsize=SMALL, labelleft=number % columns == 0, labelbottom=number + columns >= len(histories)
        )
    surface.text(PAD, top + room + high / 2, "log loss", size=TEXT, rotation=90, va="center")
    surface.text(
        0.85, top + rows * (room + high + 0.15) + 0.17, "epoch, or penalty from weak to strong", size=TEXT, va="top"
    )
    save(drawing, path)


def _draw_loss(axis: Axes, lines: list[np.ndarray], number: int, colour: str) -> None:
    """Draw one of the lines, (epochs, 2), before all others."""
    axis.add_collection(LineCollection(lines, colors=PALE, linewidths=0.7))
    own = lines[number]
    axis.plot(own[:, 0], own[:, 1], color=colour, linewidth=1.6)
    kept = own[own[:, 1].argmin()]
    axis.plot(*kept, "s", color=colour, markersize=4)
    values = np.concatenate([line[:, 1] for line in lines])
    axis.set(xlim=(0.5, max(2, *(line[-1, 0] for line in lines)) + 0.5), yscale="log")
    decades = np.log10(values.max() / values.min())
    axis.set_ylim(values.min() / 1.25, values.max() * 1.3 * 10 ** (decades / 4))  # room for the number above all lines
    axis.text(0.98, 0.95, f"{kept[1]:.3g}", transform=axis.transAxes, size=SMALL, ha="right", va="top", color=colour)
    axis.xaxis.set_major_locator(mpl.ticker.MaxNLocator(4, integer=True))
    axis.yaxis.set_major_locator(mpl.ticker.LogLocator(subs=(1, 2, 5) if decades < 1.6 else (1,), numticks=6))
    axis.yaxis.set_major_formatter(mpl.ticker.FormatStrFormatter("%g"))
    axis.yaxis.set_minor_locator(mpl.ticker.NullLocator())
