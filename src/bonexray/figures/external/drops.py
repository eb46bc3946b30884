"""The scores of all models on the internal test and on an external cohort."""

from pathlib import Path

import pandas as pd
from matplotlib.lines import Line2D

from bonexray.figures.canvas.canvas import BLUE, GRAY, PAD, SMALL, TEXT, board, fit_head, plot_at, save, write_head
from bonexray.figures.canvas.labels import fit_distinct, width_of

ROW = 0.34  # inches per model
LABEL = 2.6  # inches for the title of a model
PLOT = 3.6  # inches


def external_scores(table: pd.DataFrame, cohort: str, path: Path) -> None:
    """Draw balanced accuracy on the internal test (hollow) and on an external cohort (filled, with its interval).

    Args:
        table: one row per model, in the order of the figure: title, internal_balanced_accuracy, balanced_accuracy with
            _low and _high, drop_balanced_accuracy with _low and _high, unit, n.
        cohort: name of the cohort.
        path: the PNG to write.
    """
    names = fit_distinct(table["title"], LABEL, TEXT, 2)
    left = PAD + max(width_of(name, TEXT) for name in names) + 0.12
    width = left + PLOT + 2.0
    note = (
        f"{int(table['n'].iloc[0])} {table['unit'].iloc[0]}s of {cohort}; right: internal minus external, with interval"
    )
    head, small, top = fit_head("Balanced accuracy, internal and external", width, note)
    bottom = top + ROW * len(table)
    drawing, surface = board(width, bottom + 0.85 + PAD)
    write_head(surface, head, small)
    axis = plot_at(drawing, left, top, PLOT, ROW * len(table))
    for position, (_, row) in enumerate(table.iterrows()):
        low, high = row["drop_balanced_accuracy_low"], row["drop_balanced_accuracy_high"]
        colour, middle = BLUE if differs(row) else GRAY, top + (position + 0.5) * ROW
        ends = [row["balanced_accuracy_low"], row["balanced_accuracy_high"]]
        axis.plot(ends, [position, position], color=colour, linewidth=2)
        axis.plot(row["balanced_accuracy"], position, "o", color=colour, markersize=7, clip_on=False)
        axis.plot(
            row["internal_balanced_accuracy"],
            position,
            "o",
            color=colour,
            markersize=7,
            markerfacecolor="white",
            markeredgewidth=1.5,
            clip_on=False,
        )
        drop = f"{row['drop_balanced_accuracy']:+.2f} ({low:+.2f} to {high:+.2f})".replace("-", "−")
        surface.text(left - 0.1, middle, names[position], size=TEXT, ha="right", va="center")
        surface.text(left + PLOT + 0.1, middle, drop, size=SMALL, va="center")
    axis.set(xlim=(0, 1), ylim=(len(table) - 0.5, -0.5), yticks=[])
    keys = [Line2D([], [], marker="o", color=GRAY, label=f"filled: on {cohort}; hollow: on the internal test")]
    if any(differs(row) for _, row in table.iterrows()):
        keys.append(Line2D([], [], marker="o", color=BLUE, label="blue: the interval of the difference excludes 0"))
    corner = (left - 0.1) / width, (0.85 + PAD - 0.28) / (bottom + 0.85 + PAD)
    drawing.legend(handles=keys, loc="upper left", bbox_to_anchor=corner, fontsize=SMALL, frameon=False)
    save(drawing, path)


def differs(row: pd.Series) -> bool:
    """Return whether the interval of the difference between both scores excludes 0."""
    return bool(row["drop_balanced_accuracy_low"] > 0 or row["drop_balanced_accuracy_high"] < 0)
