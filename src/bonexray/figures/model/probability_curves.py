"""Curves of a model's probabilities: ROC, precision and recall, reliability."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes

from bonexray.figures.canvas.canvas import BLUE, GRAY, ORANGE, SMALL, TEXT, board, fit_head, plot_at, save, write_head
from bonexray.figures.canvas.labels import fit_distinct, height_of, width_of

SIDE = 2.1  # inches
STEP = SIDE + 0.35
Areas = Mapping[str, tuple[float, float, float]]


def roc_curves(curves: pd.DataFrame, areas: Areas, title: str, path: Path) -> None:
    """Draw the ROC curve of each class against the rest, one panel per class, with its band and the line of chance.

    Args:
        curves: class, false_positive_rate, true_positive_rate, low and high, all in [0, 1]; the points of a class from
            left to right.
        areas: class to the area under its curve with the interval, in the order of the panels; NaN if undefined.
        title: above all panels.
        path: the PNG to write.

    References:
        Fawcett, An introduction to ROC analysis, 2006.
    """

    def draw(axis: Axes, points: pd.DataFrame, name: str) -> None:
        axis.plot([0, 1], [0, 1], "--", color=GRAY, linewidth=1)
        _banded(axis, points, "false_positive_rate", "true_positive_rate")

    note = "line: sensitivity of a class against the rest; band: its interval; dashed: chance"
    axes = ("1 − specificity", "sensitivity")
    _panels(curves, areas, draw, "area", axes, (title, note), path)


def precision_recall_curves(
    curves: pd.DataFrame, areas: Areas, prevalence: Mapping[str, float], title: str, path: Path
) -> None:
    """Draw precision against recall of each class, one panel per class, with its band and the prevalence.

    Args:
        curves: class, recall, precision, low and high, all in [0, 1]; the points of a class by rising recall.
        areas: class to its average precision with the interval, in the order of the panels; NaN if undefined.
        prevalence: class to its share of the test images, the precision of guessing.
        title: above all panels.
        path: the PNG to write.

    References:
        Saito and Rehmsmeier, The precision-recall plot is more informative than the ROC plot, 2015.
    """

    def draw(axis: Axes, points: pd.DataFrame, name: str) -> None:
        axis.axhline(prevalence[name], linestyle="--", color=GRAY, linewidth=1)
        _banded(axis, points, "recall", "precision")

    note = "line: precision of a class against the rest; band: its interval; dashed: the class's share of test images"
    axes = ("recall", "precision")
    _panels(curves, areas, draw, "average precision", axes, (title, note), path)


def reliability_diagram(
    before: pd.DataFrame, after: pd.DataFrame, errors: tuple[float, float], title: str, path: Path
) -> None:
    """Draw accuracy against confidence before and after temperature scaling, above a histogram of the images.

    Args:
        before: one row per bin: confidence and accuracy (means, in [0, 1]), low and high of the accuracy, images.
            Bins without images are not drawn.
        after: the same with the temperature fitted on validation.
        errors: expected calibration error before and after.
        title: above both panels.
        path: the PNG to write.

    References:
        Guo et al., On calibration of modern neural networks, 2017.
    """
    note = "point: mean accuracy of a bin of images with its interval; dashed: perfect calibration"
    most = max(before["images"].max(), after["images"].max())
    left = 0.55 + width_of(f"{most}", TEXT)
    step = SIDE + left
    width = 2 * step + 0.2
    head, small, top = fit_head(title, width, note)
    drawing, surface = board(width, top + SIDE + 1.85)
    write_head(surface, head, small)
    for column, (stage, bins, error) in enumerate(zip(("before", "after"), (before, after), errors, strict=True)):
        x, bins = left + column * step, bins[bins["images"] > 0]
        surface.text(x, top + 0.4, f"{stage} temperature scaling\nexpected calibration error {error:.3f}", size=TEXT)
        upper = plot_at(drawing, x, top + 0.5, SIDE, SIDE)
        _reliability(upper, bins, BLUE if stage == "after" else ORANGE, "o" if stage == "after" else "s")
        lower = plot_at(drawing, x, top + SIDE + 0.6, SIDE, 0.7)
        lower.vlines(bins["confidence"], 0, bins["images"], color=GRAY, linewidth=4)
        lower.set(xlim=(-0.02, 1.02), ylim=(0, max(most, 1) * 1.1), xticks=[0, 0.5, 1])
        lower.yaxis.get_major_locator().set_params(integer=True, nbins=3)
        lower.set_xlabel("confidence", size=TEXT)
        if column == 0:
            upper.set_ylabel("accuracy", size=TEXT)
            lower.set_ylabel("images", size=TEXT)
    save(drawing, path)


def _reliability(axis: Axes, bins: pd.DataFrame, colour: str, marker: str) -> None:
    axis.plot([0, 1], [0, 1], "--", color=GRAY, linewidth=1)
    axis.vlines(bins["confidence"], bins["low"], bins["high"], color=colour, linewidth=1.2)
    axis.plot(bins["confidence"], bins["accuracy"], marker=marker, color=colour, linewidth=1.2, markersize=5)
    axis.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
    axis.tick_params(labelbottom=False)


def _panels(
    curves: pd.DataFrame,
    areas: Areas,
    draw: Callable[[Axes, pd.DataFrame, str], None],
    area: str,
    axes: tuple[str, str],
    head_and_note: tuple[str, str],
    path: Path,
) -> None:
    columns = min(3, len(areas))
    names = fit_distinct(areas, SIDE + 0.2, TEXT, 2)
    room = max(height_of(name, TEXT) for name in names) + 2 * height_of("", SMALL) + 0.1
    width, rows = max(0.75 + columns * STEP, 4.2), -(-len(areas) // columns)
    head, small, top = fit_head(head_and_note[0], width, head_and_note[1])
    drawing, surface = board(width, top + rows * (room + SIDE + 0.1) + 0.45)
    write_head(surface, head, small)
    for number, (label, (name, value)) in enumerate(zip(names, areas.items(), strict=True)):
        x, y = 0.75 + number % columns * STEP, top + room + number // columns * (room + SIDE + 0.1)
        surface.text(x, y - 0.07 - 2 * height_of("", SMALL), label, size=TEXT, va="bottom")
        text = "undefined on these images" if pd.isna(value[0]) else "{:.2f} ({:.2f} to {:.2f})".format(*value)
        surface.text(x, y - 0.06, f"{area}\n{text}", size=SMALL, va="bottom")
        axis = plot_at(drawing, x, y, SIDE, SIDE)
        draw(axis, curves[curves["class"] == name], name)
        axis.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
        below = number + columns >= len(areas)
        axis.tick_params(labelleft=number % columns == 0, labelbottom=below)
        axis.set_xlabel(axes[0] if below else "", size=TEXT)
        axis.set_ylabel(axes[1] if number % columns == 0 else "", size=TEXT)
    save(drawing, path)


def _banded(axis: Axes, points: pd.DataFrame, x: str, y: str) -> None:
    axis.fill_between(points[x], points["low"], points["high"], color=BLUE, alpha=0.2, linewidth=0)
    axis.plot(points[x], points[y], color=BLUE, linewidth=1.6)
