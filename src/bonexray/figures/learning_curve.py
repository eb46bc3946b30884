"""Scores by number of training patients."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter, NullLocator

from bonexray.figures.canvas.canvas import (
    BLUE,
    GRAY,
    ORANGE,
    PAD,
    SMALL,
    TEXT,
    VERMILION,
    board,
    fit_head,
    plot_at,
    save,
    write_head,
)
from bonexray.figures.canvas.labels import fit_text

WIDE, HIGH, LEFT = 3.3, 2.7, 0.7  # inches of a plot, and of the room on its left
STYLES = ((BLUE, "o", "-"), (VERMILION, "s", "--"), (GRAY, "^", ":"), (ORANGE, "D", "-."))
SCORES = {"balanced_accuracy": "balanced accuracy on test", "log_loss": "log loss on test"}
APART, ASIDE = 1.1, 1.035  # factors between the models' positions, and from an interval to the dots of its draws


def learning_curve(
    table: pd.DataFrame, fits: pd.DataFrame, titles: Mapping[str, str], confidence: float, path: Path
) -> None:
    """Draw balanced accuracy and log loss by number of training patients, on a logarithmic axis.

    Args:
        table: a row for each model and share, see `curve_of`.
        fits: a row for each fit: model, share, patients and the scores.
        titles: model to its title, in the order of the legend; at most four.
        confidence: level of the intervals.
        path: the PNG to write.
    """
    width = 2 * (LEFT + WIDE) + 0.25
    note = (
        f"line: mean over draws of patients, with {100 * confidence:g} % interval of test patients and draws; "
        "rings: each draw; patients on a logarithmic scale"
    )
    head, small, top = fit_head("Scores by number of training patients", width, note)
    bottom = top + HIGH
    drawing, surface = board(width, bottom + 0.62 + 0.22 * len(titles) + PAD)
    write_head(surface, head, small)
    for number, (score, label) in enumerate(SCORES.items()):
        axis = plot_at(drawing, LEFT + number * (LEFT + WIDE), top + 0.1, WIDE, HIGH - 0.1)
        _draw(axis, table, fits, titles, score)
        axis.set_ylabel(label, size=TEXT)
    for number, (title, (colour, marker, line)) in enumerate(zip(titles.values(), STYLES, strict=False)):
        y = bottom + 0.72 + 0.22 * number
        surface.plot([LEFT, LEFT + 0.45], [y, y], color=colour, linestyle=line, linewidth=1.6)
        surface.plot([LEFT + 0.225], [y], marker=marker, color=colour, markersize=5)
        surface.text(LEFT + 0.6, y, fit_text(title, width - LEFT - 0.8, SMALL), size=SMALL, va="center")
    save(drawing, path)


def _draw(axis: Axes, table: pd.DataFrame, fits: pd.DataFrame, titles: Mapping[str, str], score: str) -> None:
    sizes = sorted(table["patients"].unique())
    for number, (name, (colour, marker, line)) in enumerate(zip(titles, STYLES, strict=False)):
        shift = APART ** (number - (len(titles) - 1) / 2)
        mine, each = table[table["model"] == name], fits[fits["model"] == name]
        drawn = each[each["share"] < 1]
        axis.plot(
            drawn["patients"] * shift * ASIDE,
            drawn[score],
            "o",
            color=colour,
            alpha=0.6,
            markersize=3,
            mfc="none",
            mew=0.7,
        )
        axis.vlines(mine["patients"] * shift, mine[f"{score}_low"], mine[f"{score}_high"], color=colour, linewidth=1.1)
        axis.plot(
            mine["patients"] * shift,
            mine[score],
            color=colour,
            marker=marker,
            linestyle=line,
            linewidth=1.6,
            markersize=5,
        )
    axis.set(xscale="log", xlim=(min(sizes) / 1.25, max(sizes) * 1.25))
    axis.set_xticks(sizes, [f"{patients:.0f}" for patients in sizes])
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set_xlabel("training patients", size=TEXT)
