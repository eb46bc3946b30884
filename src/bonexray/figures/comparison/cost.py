"""Cost and quality of the models, and the Pareto front of both."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bonexray.figures.canvas.canvas import (
    BLUE,
    GRAY,
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
from bonexray.figures.canvas.labels import fit_text, width_of

WIDE, HIGH = 4.4, 3.6  # inches of the plot
LINE = 0.3  # inches per model in the list
Boxes = list[tuple[float, float, float, float]]


def pareto(table: pd.DataFrame, path: Path) -> None:
    """Draw balanced accuracy against multiply-adds, models numbered as in a list beside, with the Pareto front.

    Args:
        table: one row per model: title, balanced_accuracy, low, high, multiply_adds, parameters, file_mb.
            A model whose multiply_adds are NaN is only listed.
        path: the PNG to write.
    """
    table = table.assign(multiply_adds=table["multiply_adds"].astype(float))  # no numbers at all are objects
    table = table.sort_values("multiply_adds", kind="stable", na_position="last").reset_index(drop=True)
    plotted = table[table["multiply_adds"].notna()]
    front = pareto_front(plotted["multiply_adds"].to_numpy(), plotted["balanced_accuracy"].to_numpy())
    names = [fit_text(f"{n}: {title}", 2.7, SMALL, 2) for n, title in enumerate(table["title"], 1)]
    left = 0.65 + WIDE + 0.3
    columns = [left + max(width_of(name, SMALL) for name in names) + x for x in (0.95, 1.75, 2.4)]
    note = (
        "line: confidence interval; filled, blue and joined: no other model is both cheaper and better; "
        "multiply-adds: of one image, on a logarithmic scale"
    )
    width = columns[-1] + PAD
    head, small, top = fit_head("Quality and cost", width, note)
    high = max(HIGH, LINE * len(table) - 0.1)
    drawing, surface = board(width, top + high + 1.0)
    write_head(surface, head, small)
    axis = plot_at(drawing, 0.65, top + 0.35, WIDE, high)
    _points(axis, plotted, front)
    _numbers(drawing, surface, axis, plotted, front)
    on_front = set(plotted.index[front])
    _list(surface, table, names, on_front, (left, top + 0.3), columns)
    save(drawing, path)


def pareto_front(cost: np.ndarray, quality: np.ndarray) -> np.ndarray:
    """Return for each model whether no other is at least as cheap and as good, and cheaper or better: bool (models,)."""
    cheaper, better = cost[None, :] <= cost[:, None], quality[None, :] >= quality[:, None]
    strictly = (cost[None, :] < cost[:, None]) | (quality[None, :] > quality[:, None])
    return ~(cheaper & better & strictly).any(axis=1)


def _points(axis: Axes, table: pd.DataFrame, front: np.ndarray) -> None:
    axis.vlines(table["multiply_adds"], table["low"], table["high"], color=PALE, linewidth=1.5)
    joined = table[front].sort_values(["multiply_adds", "balanced_accuracy"])
    axis.step(joined["multiply_adds"], joined["balanced_accuracy"], color=BLUE, where="post", linewidth=1)
    for (_, row), best in zip(table.iterrows(), front, strict=True):
        axis.plot(
            row["multiply_adds"],
            row["balanced_accuracy"],
            "o" if best else "s",
            color=BLUE if best else GRAY,
            markerfacecolor=BLUE if best else "white",
            markersize=7 if best else 5,
        )
    axis.set_xlabel("multiply-adds", size=TEXT)
    axis.set_ylabel("balanced accuracy on test", size=TEXT)
    if table.empty:
        axis.set(xticks=[], yticks=[])
    else:
        margin = 1.6
        axis.set(
            xscale="log",
            xlim=(table["multiply_adds"].min() / margin, table["multiply_adds"].max() * margin),
            ylim=(max(0, table["low"].min() - 0.03), min(1.02, table["high"].max() + 0.03)),
        )


def _numbers(drawing: Figure, surface: Axes, axis: Axes, table: pd.DataFrame, front: np.ndarray) -> None:
    """Write the number of each point at the nearest free position, joined by a line if it is not next to the point."""
    points = axis.transData.transform(table[["multiply_adds", "balanced_accuracy"]].to_numpy(float))
    points = surface.transData.inverted().transform(points) if len(points) else points
    taken: Boxes = [(x - 0.06, y - 0.06, x + 0.06, y + 0.06) for x, y in points]
    for (number, _), (x, y), best in zip(table.iterrows(), points, front, strict=True):
        text = f"{number + 1}"
        box = _free_box(x, y, width_of(text, SMALL), taken)
        taken.append(box)
        middle = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        if np.hypot(middle[0] - x, middle[1] - y) > 0.2:
            axis.plot([x, middle[0]], [y, middle[1]], color=GRAY, linewidth=0.6, transform=surface.transData)
        axis.text(
            *middle,
            text,
            size=SMALL,
            ha="center",
            va="center_baseline",
            transform=surface.transData,
            color=BLUE if best else "black",
            bbox={"color": "white", "alpha": 0.7, "pad": 0.5, "linewidth": 0},
        )


def _free_box(x: float, y: float, width: float, taken: Boxes) -> tuple[float, float, float, float]:
    half_width, half_height = width / 2 + 0.02, 0.075
    for radius in np.arange(0.14, 3, 0.04):
        for angle in np.arange(0, 2 * np.pi, np.pi / 8) - 3 * np.pi / 4:
            u, v = x + radius * np.cos(angle), y + radius * np.sin(angle)
            box = (u - half_width, v - half_height, u + half_width, v + half_height)
            inside = box[0] > 0.65 and box[2] < 0.65 + WIDE
            if inside and not any(_overlap(box, other) for other in taken):
                return box
    return box


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _list(
    surface: Axes,
    table: pd.DataFrame,
    names: list[str],
    front: set[int],
    start: tuple[float, float],
    columns: list[float],
) -> None:
    x, y = start
    for position, text in zip(columns, ("multiply-\nadds", "parameters", "file, MB"), strict=True):
        surface.text(position, y, text, size=SMALL, ha="right", va="bottom", color="#444444")
    for number, row in table.iterrows():
        middle = y + 0.05 + (number + 0.5) * LINE
        colour = BLUE if number in front else "black"
        surface.text(x, middle, names[number], size=SMALL, va="center", color=colour)
        numbers = (_short(row["multiply_adds"]), _short(row["parameters"]), _short(row["file_mb"]))
        for position, text in zip(columns, numbers, strict=True):
            surface.text(position, middle, text, size=SMALL, ha="right", va="center", color=colour)


def _short(value: float) -> str:
    """Format a count with three digits and a unit: 15.3 G."""
    if not np.isfinite(value):
        return "–"
    for unit, size in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.3g}"
