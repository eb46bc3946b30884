"""The scores of all models side by side."""

from collections.abc import Collection
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from bonexray.data.scores import collapse_of
from bonexray.figures.canvas.canvas import (
    BLUE,
    GRAY,
    GREEN,
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
from bonexray.figures.canvas.labels import fit_distinct, width_of

SCORES = {"accuracy": "Accuracy", "macro_precision": "Precision", "macro_recall": "Recall", "macro_f1": "F1"}
ROW = 0.34  # inches per model
LABEL = 2.6  # inches for the title of a model


def model_comparison(
    table: pd.DataFrame,
    chosen: str,
    path: Path,
    *,
    alike: Collection[str] | None = None,
    ensembles: Collection[str] = (),
    baselines: Collection[str] = (),
    ceiling: float | None = None,
) -> None:
    """Draw balanced accuracy on test with its interval, the best model at the top, and the majority baseline.

    Args:
        table: one row per model: title, balanced_accuracy with _low and _high, baseline_balanced_accuracy, collapsed, nearly_collapsed,
            unit, n.
        chosen: title of the model chosen on validation.
        path: the PNG to write.
        alike: titles of models that do not differ significantly from the best: they are filled, all others hollow. If
            None, all are filled.
        ensembles: titles of ensembles, drawn as diamonds.
        baselines: titles of baselines, drawn as squares.
        ceiling: balanced accuracy of a simulated cohort's own truth, drawn as a line; None for real images.
    """
    table = table.sort_values("balanced_accuracy", ascending=False, kind="stable").reset_index(drop=True)
    baseline = table["baseline_balanced_accuracy"].iloc[0]
    names = fit_distinct([f"{t} *" if t == chosen else t for t in table["title"]], LABEL, TEXT, 2)
    left = PAD + max(width_of(name, TEXT) for name in names) + 0.12
    width = left + 3.6 + 1.45
    note = f"{int(table['n'].iloc[0])} test {table['unit'].iloc[0]}s; line: confidence interval"
    head, small, top = fit_head("Balanced accuracy on test", width, note)
    keys = _keys(table, chosen, baseline, alike, ensembles, baselines, ceiling)
    under = 0.4 + 0.18 * len(keys) + PAD
    drawing, surface = board(width, top + ROW * len(table) + under)
    write_head(surface, head, small)
    axis = plot_at(drawing, left, top, 3.6, ROW * len(table))
    axis.axvline(baseline, color=ORANGE, linestyle="--", linewidth=1.2)
    if ceiling is not None:
        axis.axvline(ceiling, color=GREEN, linestyle="-.", linewidth=1.2)
    for position, row in table.iterrows():
        colour = VERMILION if collapse_of(row) else (BLUE if row["title"] == chosen else GRAY)
        filled = alike is None or row["title"] in alike
        marker = "D" if row["title"] in ensembles else "s" if row["title"] in baselines else "o"
        _interval(axis, position, row, colour, marker, colour if filled else "white")
        surface.text(left - 0.1, top + (position + 0.5) * ROW, names[position], size=TEXT, ha="right", va="center")
        surface.text(left + 3.7, top + (position + 0.5) * ROW, _numbers(row), size=SMALL, va="center")
    axis.set(xlim=(0, 1), ylim=(len(table) - 0.5, -0.5), yticks=[])
    corner = (left - 0.1) / width, (under - 0.28) / (top + ROW * len(table) + under)
    drawing.legend(handles=keys, loc="upper left", bbox_to_anchor=corner, fontsize=SMALL, frameon=False)
    save(drawing, path)


def _interval(axis: Axes, position: int, row: pd.Series, colour: str, marker: str, face: str) -> None:
    ends = [row["balanced_accuracy_low"], row["balanced_accuracy_high"]]
    axis.plot(ends, [position, position], color=colour, linewidth=2, linestyle=":" if collapse_of(row) else "-")
    axis.plot(
        row["balanced_accuracy"],
        position,
        marker,
        color=colour,
        markersize=7,
        markerfacecolor=face,
        markeredgewidth=1.5,
        clip_on=False,
    )


def _numbers(row: pd.Series) -> str:
    low, high = row["balanced_accuracy_low"], row["balanced_accuracy_high"]
    return f"{row['balanced_accuracy']:.2f} ({low:.2f} to {high:.2f})"


def _keys(
    table: pd.DataFrame,
    chosen: str,
    baseline: float,
    alike: Collection[str] | None,
    ensembles: Collection[str],
    baselines: Collection[str],
    ceiling: float | None,
) -> list[Line2D]:
    """Return the legend, limited to what occurs in the figure."""

    def key(marker: str, text: str, colour: str = GRAY, line: str = "", face: str | None = None) -> Line2D:
        return Line2D([], [], marker=marker, color=colour, linestyle=line, markerfacecolor=face or colour, label=text)

    keys = [key("", f"always the majority class: {baseline:.2f}", ORANGE, "--")]
    if ceiling is not None:
        keys.append(key("", f"ceiling, from the true bone of the simulation: {ceiling:.2f}", GREEN, "-."))
    if chosen in set(table["title"]):
        keys.append(key("o", "blue and *: chosen on validation", BLUE, "-"))
    if alike is not None:
        keys.append(key("o", "filled: not distinguishable from the best, after Holm's correction"))
        if not set(table["title"]) <= set(alike):
            keys.append(key("o", "hollow: worse than the best, after Holm's correction", face="white"))
    if set(ensembles) & set(table["title"]):
        keys.append(key("D", "diamond: ensemble"))
    if set(baselines) & set(table["title"]):
        keys.append(key("s", "square: baseline, a logistic regression on simple numbers of the image"))
    collapses = {collapse_of(row) for _, row in table.iterrows()} - {""}
    if collapses:  # the longer one includes the other
        keys.append(key("o", f"vermilion and dotted: {max(collapses, key=len)}", VERMILION, ":"))
    return keys


def evaluation_grid(table: pd.DataFrame, path: Path) -> None:
    """Draw one panel for each of `SCORES`, with one bar per model in the order of the table and its interval if known.

    Args:
        table: one row per model: title, the scores of `SCORES`, and optionally their _low and _high.
        path: the PNG to write.
    """
    names = fit_distinct(table["title"], LABEL, TEXT, 2)
    left = PAD + max(width_of(name, TEXT) for name in names) + 0.12
    width, row = left + len(SCORES) * 2.0, 0.31
    note = "precision, recall and F1: unweighted mean over classes; black line: confidence interval"
    head, small, top = fit_head("Scores on test", width, note)
    top += 0.22
    drawing, surface = board(width, top + row * len(table) + 0.45)
    write_head(surface, head, small)
    for position, name in enumerate(names):
        surface.text(left - 0.1, top + (position + 0.5) * row, name, size=TEXT, ha="right", va="center")
    for position, (score, label) in enumerate(SCORES.items()):
        x = left + position * 2.0
        surface.text(x, top - 0.06, label, size=TEXT, va="bottom")
        axis = plot_at(drawing, x, top, 1.4, row * len(table))
        _bars(axis, table, score)
        for line, value in enumerate(table[score]):
            surface.text(x + 1.47, top + (line + 0.5) * row, f"{value:.2f}", size=SMALL, va="center")
    save(drawing, path)


def _bars(axis: Axes, table: pd.DataFrame, score: str) -> None:
    axis.barh(range(len(table)), table[score], color="#7FB7D9", height=0.65)
    if f"{score}_low" in table:
        axis.hlines(range(len(table)), table[f"{score}_low"], table[f"{score}_high"], color="black", linewidth=1)
    axis.set(xlim=(0, 1), ylim=(len(table) - 0.5, -0.5), yticks=[], xticks=[0, 0.5, 1])
