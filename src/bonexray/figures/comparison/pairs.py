"""Differences between models: a matrix of all pairs, and a critical difference diagram."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from bonexray.figures.canvas.canvas import BLUE, GRAY, PAD, PALE, SMALL, board, fit_head, save, text_colour, write_head
from bonexray.figures.canvas.labels import fit_distinct, width_of

ALPHA = 0.05
CELL = 0.46  # inches
LABEL = 2.3  # inches for the title of a model
COLOURS = mpl.colormaps["PuOr"]  # orange below 0, violet above; safe for colour-blind readers


def pair_matrix(pairs: pd.DataFrame, order: Sequence[str], titles: Mapping[str, str], path: Path) -> None:
    """Draw the differences in balanced accuracy, row minus column, framed if significant after Holm's correction.

    Args:
        pairs: one row per pair, in either order: one, other, difference (one minus other), p_bootstrap_holm.
        order: names of the models in the order of rows and columns, at least two.
        titles: name to title.
        path: the PNG to write.
    """
    differences, values = _square(pairs, order, "difference", -1), _square(pairs, order, "p_bootstrap_holm", 1)
    below = np.tril_indices(len(order), -1)
    significant = values < ALPHA
    most = max(np.nanmax(np.abs(differences[below]), initial=0), 0.01)
    note = (
        "balanced accuracy on test: row minus column; violet: the row is better, orange: the column is better; "
        f"thick frame: p < {ALPHA} after Holm's correction ({significant[below].sum()} of {len(below[0])} pairs)"
    )
    names = dict(zip(order, fit_distinct([titles[name] for name in order], LABEL, SMALL, 2), strict=True))
    left = PAD + max(width_of(names[name], SMALL) for name in order[1:]) + 0.1
    side = (len(order) - 1) * CELL
    width = max(left + side + PAD, 5)
    head, small, top = fit_head("Differences between models", width, note)
    drawing, surface = board(width, top + side + 0.1 + max(width_of(names[n], SMALL) for n in order[:-1]) + PAD)
    write_head(surface, head, small)
    for row, column in zip(*below, strict=True):
        x, y = left + column * CELL, top + (row - 1) * CELL
        _cell(surface, x, y, differences[row, column], most, significant[row, column])
    for position, name in enumerate(order):
        if position:
            surface.text(left - 0.06, top + (position - 0.5) * CELL, names[name], size=SMALL, ha="right", va="center")
        if position < len(order) - 1:
            x = left + (position + 0.5) * CELL
            surface.text(x, top + side + 0.06, names[name], size=SMALL, rotation=90, ha="center", va="top")
    save(drawing, path)


def critical_difference(
    mean_ranks: Mapping[str, float], critical_difference: float, cliques: Sequence[Sequence[str]], path: Path
) -> None:
    """Draw mean ranks on a line, the best at the left; thick bars join models that do not differ significantly.

    Args:
        mean_ranks: title to mean rank, 1 is the best.
        critical_difference: smallest significant difference of two mean ranks.
        cliques: groups of titles within the critical difference of each other.
        path: the PNG to write.

    References:
        Demsar, Statistical comparisons of classifiers over multiple data sets, 2006.
    """
    ranked = sorted(mean_ranks, key=lambda title: (mean_ranks[title], title))
    half = -(-len(ranked) // 2)
    texts = [f"{title} ({mean_ranks[title]:.2f})" for title in ranked]
    names = fit_distinct(texts, LABEL, SMALL, 2)
    note = f"thick bar: models whose mean ranks are within the critical difference of {critical_difference:.2f}"
    left, long = PAD + max(width_of(name, SMALL) for name in names) + 0.5, 4.2
    width = 2 * left + long
    head, small, top = fit_head("Mean ranks of the models (1 is the best)", width, note)
    bars = [clique for clique in cliques if len(clique) > 1]
    line, step, first = top + 0.75, 0.3, 0.2 + 0.11 * len(bars)
    drawing, surface = board(width, line + first + half * step + PAD)
    write_head(surface, head, small)

    def at(rank: float) -> float:
        return left + (rank - 1) / max(len(ranked) - 1, 1) * long

    _scale(surface, line, at, len(ranked), critical_difference)
    for level, clique in enumerate(bars):
        ends = [at(f([mean_ranks[title] for title in clique])) for f in (min, max)]
        surface.plot([ends[0] - 0.04, ends[1] + 0.04], [line + 0.13 + 0.11 * level] * 2, color=BLUE, linewidth=4)
    for position, title in enumerate(ranked):
        ahead = position < half
        y = line + first + (position if ahead else len(ranked) - 1 - position) * step + step / 2
        end, side = (left - 0.1, -0.04) if ahead else (width - left + 0.1, 0.04)
        surface.plot([at(mean_ranks[title])] * 2 + [end], [line, y, y], color=GRAY, linewidth=1)
        surface.text(end + side, y, names[position], size=SMALL, ha="right" if ahead else "left", va="center")
    save(drawing, path)


def _scale(surface: Axes, y: float, at, ranks: int, critical_difference: float) -> None:
    """Draw the line of ranks with its ticks, and the critical difference above it."""
    surface.plot([at(1), at(ranks)], [y, y], color="black", linewidth=1.2)
    for rank in range(1, ranks + 1):
        surface.plot([at(rank)] * 2, [y - 0.06, y], color="black", linewidth=1)
        surface.text(at(rank), y - 0.08, f"{rank}", size=SMALL, ha="center", va="bottom")
    longer = 1 + critical_difference > ranks
    ends = [at(1), at(ranks if longer else 1 + critical_difference)]
    surface.plot(
        ends,
        [y - 0.36] * 2,
        color="black",
        linewidth=1.5,
        marker="|",
        markersize=8,
        markevery=[0] if longer else [0, 1],
    )
    text = "critical difference" + (", longer than the scale" if longer else "")
    surface.text(sum(ends) / 2, y - 0.42, text, size=SMALL, ha="center", va="bottom")


def _square(pairs: pd.DataFrame, order: Sequence[str], column: str, sign: int) -> np.ndarray:
    """Return a column of the pairs as a square matrix in `order`, its mirrored half multiplied by `sign`."""
    position = {name: number for number, name in enumerate(order)}
    square = np.full((len(order), len(order)), np.nan)
    for one, other, value in pairs[["one", "other", column]].itertuples(index=False):
        square[position[one], position[other]], square[position[other], position[one]] = value, sign * value
    return square


def _cell(surface: Axes, x: float, y: float, difference: float, most: float, significant: bool) -> None:
    defined = np.isfinite(difference)
    colour = COLOURS(0.5 + 0.4 * difference / most) if defined else mpl.colors.to_rgba(PALE)
    surface.add_patch(Rectangle((x, y), CELL, CELL, facecolor=colour, edgecolor="white", linewidth=1))
    if significant:
        inset = 0.03
        box = Rectangle((x + inset, y + inset), CELL - 2 * inset, CELL - 2 * inset, fill=False, linewidth=2)
        surface.add_patch(box)
    rounded = round(difference, 2) + 0.0 if defined else np.nan
    text = (f"{rounded:+.2f}" if rounded else "0.00").replace("-", "−") if defined else "–"
    surface.text(
        x + CELL / 2, y + CELL / 2, text, size=SMALL - 0.5, ha="center", va="center", color=text_colour(colour)
    )
