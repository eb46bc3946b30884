"""What a model is worth that may leave images unanswered, and how often its prediction sets hold the truth."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bonexray.figures.canvas.canvas import (
    BLUE,
    GRAY,
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
from bonexray.figures.canvas.labels import fit_distinct

WIDE, HIGH, LEFT, NAMES = 3.0, 2.6, 0.7, 1.5  # inches of a plot, of the room on its left, and of the classes' names
Interval = tuple[float, float, float]  # share, lower and upper bound


def prediction_sets(
    answered: pd.DataFrame,
    coverage: Interval,
    by_class: Mapping[str, Interval],
    promised: float,
    title: str,
    path: Path,
    unit: str = "image",
) -> None:
    """Draw accuracy by the share of images answered, and the coverage reached in each class.

    Args:
        answered: rows of `accuracy_by_answered`.
        coverage: share of patients whose true class is in the sets of all their images.
        by_class: class to that share among its patients; NaN for a class without test images.
        promised: the coverage that was promised, in (0, 1).
        title: above both plots.
        path: the PNG to write.
        unit: image or patient, whichever is answered.
    """
    width = LEFT + WIDE + NAMES + 0.55 + WIDE + 0.25
    note = f"left: the {unit}s with the largest probabilities are answered; right: coverage, counted by patient; dashed: promised"
    head, small, top = fit_head(title, width, note)
    high = max(HIGH, 0.32 * (1 + len(by_class)))
    drawing, surface = board(width, top + high + 0.75)
    write_head(surface, head, small)
    _draw_answered(drawing, answered, unit, top + 0.1, high)
    rows = [("all classes", coverage), *by_class.items()]
    _draw_coverage(drawing, rows, promised, top + 0.1, high)
    save(drawing, path)


def _draw_answered(drawing: Figure, answered: pd.DataFrame, unit: str, top: float, high: float) -> None:
    axis = plot_at(drawing, LEFT, top, WIDE, high)
    axis.fill_between(answered["answered"], answered["low"], answered["high"], color=BLUE, alpha=0.2, linewidth=0)
    axis.plot(answered["answered"], answered["accuracy"], color=BLUE, linewidth=1.6)
    ticks = [0.1, 0.25, 0.5, 0.75, 1]
    axis.set(xlim=(0.1, 1), ylim=(max(0, answered["low"].min() - 0.05), 1.02))
    axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axis.set_xlabel(f"share of test {unit}s answered", size=TEXT)
    axis.set_ylabel("accuracy on these", size=TEXT)


def _draw_coverage(
    drawing: Figure, rows: Sequence[tuple[str, Interval]], promised: float, top: float, high: float
) -> None:
    axis = plot_at(drawing, LEFT + WIDE + NAMES + 0.55, top, WIDE, high)
    axis.axvline(promised, color=GRAY, linestyle="--", linewidth=1.2)
    for number, (_, (share, low, end)) in enumerate(rows):
        colour, marker = (BLUE, "o") if number else (VERMILION, "D")
        axis.hlines(number, low, end, color=colour, linewidth=1.6)
        axis.plot(share, number, marker=marker, color=colour, markersize=5)
    lowest = min([promised, *(low for _, (_, low, _) in rows if not np.isnan(low))])
    axis.set(xlim=(max(0, lowest - 0.05), 1.02), ylim=(len(rows) - 0.5, -0.5))
    axis.set_yticks(range(len(rows)), fit_distinct((name for name, _ in rows), NAMES - PAD, SMALL, 2))
    axis.tick_params(axis="y", labelsize=SMALL, length=0)
    axis.set_xlabel("patients with the true class in all sets", size=TEXT)
