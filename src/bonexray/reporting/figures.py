"""How every figure looks and is written: one colour-blind-safe style, the same bytes for the same numbers."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

# Okabe and Ito's palette, told apart by colour-blind readers and in gray print.
BLUE, ORANGE, GREEN, VERMILION, GRAY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#6E6E6E"
STYLE = {
    "font.size": 10, "axes.titlesize": 10, "axes.labelsize": 10, "axes.spines.top": False, "axes.spines.right": False,
    "figure.constrained_layout.use": True, "svg.hashsalt": "bonexray",
}  # fmt: skip
INCHES = 2.6  # side of one panel


def figure(
    rows: int = 1, columns: int = 1, *, width: float | None = None, height: float | None = None
) -> tuple[Figure, np.ndarray]:
    """A figure without a display and its axes, (rows, columns), about `INCHES` a panel unless a size is given."""
    with mpl.rc_context(STYLE):
        canvas = FigureCanvasAgg(Figure(figsize=(width or INCHES * columns, height or INCHES * rows)))
        return canvas.figure, canvas.figure.subplots(rows, columns, squeeze=False)


def save(drawing: Figure, path: Path) -> None:
    """Write a figure as PNG without the date or version that would change its bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    drawing.savefig(path, dpi=150, metadata={"Software": None})
