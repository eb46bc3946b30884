"""The models of a study beside each other."""

from collections.abc import Collection
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

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
from bonexray.figures.canvas.labels import fit_distinct, width_of

SCORES = {"accuracy": "Accuracy", "macro_precision": "Precision", "macro_recall": "Recall", "macro_f1": "F1"}
ROW = 0.34  # inches a model
LABEL = 2.6  # inches that a model's title may take


def model_comparison(
    table: pd.DataFrame,
    chosen: str,
    path: Path,
    *,
    alike: Collection[str] | None = None,
    ensembles: Collection[str] = (),
) -> None:
    """Balanced accuracy on test with its interval, the best at the top, beside what guessing gives.

    Args:
        table: one row a model: title, balanced_accuracy, its _low and _high, baseline_balanced_accuracy, collapsed, n.
        chosen: title of the model that validation chose.
        path: the PNG to write.
        alike: titles of those that the study cannot tell from the best, drawn filled, and all others hollow;
            without it nothing is said on that.
        ensembles: titles of those that are ensembles, drawn as diamonds.
    """
    table = table.sort_values("balanced_accuracy", ascending=False, kind="stable").reset_index(drop=True)
    baseline = table["baseline_balanced_accuracy"].iloc[0]
    names = fit_distinct([f"{t} *" if t == chosen else t for t in table["title"]], LABEL, TEXT, 2)
    left = PAD + max(width_of(name, TEXT) for name in names) + 0.12
    width = left + 3.6 + 1.45
    note = f"{int(table['n'].iloc[0])} test images; line: bootstrap interval over groups"
    head, small, top = fit_head("Balanced accuracy on test", width, note)
    keys = _keys(table, chosen, baseline, alike, ensembles)
    under = 0.4 + 0.18 * len(keys) + PAD
    drawing, surface = board(width, top + ROW * len(table) + under)
    write_head(surface, head, small)
    axis = plot_at(drawing, left, top, 3.6, ROW * len(table))
    axis.axvline(baseline, color=ORANGE, linestyle="--", linewidth=1.2)
    for place, row in table.iterrows():
        colour = VERMILION if row["collapsed"] else (BLUE if row["title"] == chosen else GRAY)
        filled = alike is None or row["title"] in alike
        _interval(axis, place, row, colour, "D" if row["title"] in ensembles else "o", colour if filled else "white")
        surface.text(left - 0.1, top + (place + 0.5) * ROW, names[place], size=TEXT, ha="right", va="center")
        surface.text(left + 3.7, top + (place + 0.5) * ROW, _numbers(row), size=SMALL, va="center")
    axis.set(xlim=(0, 1), ylim=(len(table) - 0.5, -0.5), yticks=[])
    corner = (left - 0.1) / width, (under - 0.28) / (top + ROW * len(table) + under)
    drawing.legend(handles=keys, loc="upper left", bbox_to_anchor=corner, fontsize=SMALL, frameon=False)
    save(drawing, path)


def _interval(axis: Axes, place: int, row: pd.Series, colour: str, marker: str, face: str) -> None:
    ends = [row["balanced_accuracy_low"], row["balanced_accuracy_high"]]
    axis.plot(ends, [place, place], color=colour, linewidth=2, linestyle=":" if row["collapsed"] else "-")
    axis.plot(
        row["balanced_accuracy"],
        place,
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
    table: pd.DataFrame, chosen: str, baseline: float, alike: Collection[str] | None, ensembles: Collection[str]
) -> list[Line2D]:
    """The legend, with only what the figure holds."""

    def key(marker: str, text: str, colour: str = GRAY, line: str = "", face: str | None = None) -> Line2D:
        return Line2D([], [], marker=marker, color=colour, linestyle=line, markerfacecolor=face or colour, label=text)

    found = [key("", f"always the majority class: {baseline:.2f}", ORANGE, "--")]
    if chosen in set(table["title"]):
        found.append(key("o", "blue and *: chosen on validation", BLUE, "-"))
    if alike is not None:
        found.append(key("o", "filled: not distinguishable from the best, after Holm's correction"))
        if not set(table["title"]) <= set(alike):
            found.append(key("o", "hollow: worse than the best, after Holm's correction", face="white"))
    if set(ensembles) & set(table["title"]):
        found.append(key("D", "diamond: ensemble"))
    if table["collapsed"].any():
        found.append(key("o", "vermilion and dotted: one answer to everything", VERMILION, ":"))
    return found


def evaluation_grid(table: pd.DataFrame, path: Path) -> None:
    """Four panels, one a score of `SCORES`, one bar a model, in the table's order, with intervals where it has them.

    Args:
        table: one row a model: title, the scores of `SCORES`, and for any of them _low and _high.
        path: the PNG to write.
    """
    names = fit_distinct(table["title"], LABEL, TEXT, 2)
    left = PAD + max(width_of(name, TEXT) for name in names) + 0.12
    width, row = left + len(SCORES) * 2.0, 0.31
    note = "precision, recall and F1: the plain mean over classes; black line: bootstrap interval, where there is one"
    head, small, top = fit_head("Scores on test", width, note)
    top += 0.22
    drawing, surface = board(width, top + row * len(table) + 0.45)
    write_head(surface, head, small)
    for place, name in enumerate(names):
        surface.text(left - 0.1, top + (place + 0.5) * row, name, size=TEXT, ha="right", va="center")
    for place, (score, label) in enumerate(SCORES.items()):
        x = left + place * 2.0
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
