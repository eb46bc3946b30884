"""Images with the heat maps of a network laid over them."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes

from bonexray.figures.canvas.canvas import BLUE, GRAY, VERMILION, figure, save

COLOURS, OPACITY = "cividis", 0.55  # evenly rising lightness: read in gray print and by colour-blind readers alike
PANEL, HEAD = 2.3, 0.4  # inches: side of an image, and the titles above it
TITLE = 32  # characters of a line


@dataclass(frozen=True)
class Explained:
    """An image and its heat maps.

    Attributes:
        image: float (px, px) in [0, 1].
        predicted: name of the predicted class.
        actual: name of the actual class.
        probability: of the predicted class.
        actual_probability: of the actual class.
        heat: float (px, px) in [0, 1], for the predicted class.
        actual_heat: the same for the actual class.
    """

    image: np.ndarray
    predicted: str
    actual: str
    probability: float
    actual_probability: float
    heat: np.ndarray
    actual_heat: np.ndarray


def heat_maps(rows: Sequence[Explained], title: str, path: Path) -> None:
    """A row an image: itself, its map for the predicted class, and for the actual class where that is another.

    Args:
        rows: what is shown, at least one.
        title: above all of them.
        path: the PNG to write.
    """
    columns = 3 if any(row.predicted != row.actual for row in rows) else 2
    drawing, axes = figure(len(rows), columns, width=PANEL * columns + 1.0, height=(PANEL + HEAD) * len(rows) + HEAD)
    for axis in axes.flat:
        axis.set_axis_off()
    for line, row in zip(axes, rows, strict=True):
        right = row.predicted == row.actual
        _image(
            line[0], row.image, f"{'right' if right else 'wrong'}\nactual: {row.actual}", BLUE if right else VERMILION
        )
        _overlaid(line[1], row.image, row.heat, f"predicted: {row.predicted} ({row.probability:.2f})")
        if not right:
            _overlaid(line[2], row.image, row.actual_heat, f"actual: {row.actual} ({row.actual_probability:.2f})")
    scale = drawing.colorbar(
        mpl.cm.ScalarMappable(mpl.colors.Normalize(0, 1), COLOURS),
        ax=axes,
        alpha=OPACITY,
        shrink=0.8 / len(rows) ** 0.5,
    )
    scale.set_label("speaks for the class\n(share of the strongest place; line: half of it)")
    drawing.suptitle(title)
    save(drawing, path)


def verdict(heat: np.ndarray) -> str | None:
    """What is to be said of a heat map that shows no place, (px, px): that nothing speaks for the class, or all alike."""
    if np.ptp(heat) > 0:
        return None
    return "every place speaks alike\nfor this class" if heat.flat[0] > 0 else "nothing speaks\nfor this class"


def _overlaid(axis: Axes, image: np.ndarray, heat: np.ndarray, title: str) -> None:
    _image(axis, image, title, GRAY)
    said = verdict(heat)
    if said:
        box = {"facecolor": "white", "edgecolor": GRAY, "boxstyle": "round"}
        axis.text(0.5, 0.5, said, transform=axis.transAxes, ha="center", va="center", fontsize=9, bbox=box)
        return
    axis.imshow(heat, cmap=COLOURS, vmin=0, vmax=1, alpha=OPACITY)
    axis.contour(heat, levels=[0.5], colors="white", linewidths=1.2)


def _image(axis: Axes, image: np.ndarray, title: str, frame: str) -> None:
    axis.set_axis_on()
    axis.imshow(image, cmap="gray", vmin=0, vmax=1)
    axis.set(xticks=[], yticks=[])
    wrapped = "\n".join(part for line in title.split("\n") for part in textwrap.wrap(line, TITLE))
    axis.set_title(wrapped, fontsize=9)
    for spine in axis.spines.values():
        spine.set(visible=True, color=frame, linewidth=2.5)
