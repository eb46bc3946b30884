"""The canvas of every figure: placed in inches, safe for colour-blind readers, same bytes for the same data."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from bonexray.figures.canvas.labels import fit_text, height_of

# Okabe and Ito's palette, safe for colour-blind readers; whatever matters also differs by line, marker or hatch.
BLUE, ORANGE, GREEN, VERMILION, GRAY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#6E6E6E"
PALE = "#D4D4D4"
STYLE = {
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.labelsize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.hashsalt": "bonexray",
}
DPI = 150
PAD = 0.12  # inches between the edge of a figure and its content
HEAD, TEXT, SMALL = 11, 9, 8  # points


def board(width: float, height: float) -> tuple[Figure, Axes]:
    """Return an empty figure, and axes over all of it whose coordinates are inches from the upper left corner.

    Everything keeps the place it is given: no layout engine runs, and no label moves another.
    """
    with mpl.rc_context(STYLE):
        drawing = FigureCanvasAgg(Figure(figsize=(width, height), dpi=DPI, layout="none")).figure
        surface = drawing.add_axes((0, 0, 1, 1))
    surface.set(xlim=(0, width), ylim=(height, 0))
    surface.set_axis_off()
    return drawing, surface


def plot_at(drawing: Figure, x: float, y: float, width: float, height: float) -> Axes:
    """Add axes to a board, with the upper left corner of the plot at (x, y) inches, and return them."""
    across, down = drawing.get_size_inches()
    with mpl.rc_context(STYLE):
        axis = drawing.add_axes((x / across, 1 - (y + height) / down, width / across, height / down))
    axis.patch.set_visible(False)  # or it would hide text on the board
    axis.tick_params(labelsize=TEXT)
    return axis


def fit_head(title: str, width: float, note: str = "") -> tuple[str, str, float]:
    """Return a title and a note, wrapped to the width of a figure, and the height they need in inches."""
    head, small = fit_text(title, width - 2 * PAD, HEAD, 3), fit_text(note, width - 2 * PAD, TEXT, 6)
    below = PAD + height_of(head, HEAD) * bool(head) + (0.04 + height_of(small, TEXT)) * bool(small)
    return head, small, below + 0.1


def write_head(surface: Axes, head: str, small: str) -> None:
    """Write a title and a note from `fit_head` at the top of a board."""
    surface.text(PAD, PAD, head, size=HEAD, va="top")
    surface.text(PAD, PAD + 0.04 + height_of(head, HEAD) * bool(head), small, size=TEXT, va="top", color="#444444")


def draw_image(
    surface: Axes, x: float, y: float, side: float, image: np.ndarray, frame: str, line: str = "-", thick: float = 2.5
) -> None:
    """Draw a gray image with a frame in the middle of a square.

    Args:
        surface: of the board.
        x: left edge of the square in inches.
        y: top edge of the square in inches.
        side: of the square in inches.
        image: float (height, width) in [0, 1].
        frame: colour of the frame.
        line: style of the frame.
        thick: width of the frame in points.
    """
    down, across = np.array(image.shape[:2]) * side / max(image.shape[:2])
    x, y = x + (side - across) / 2, y + (side - down) / 2
    surface.imshow(image, cmap="gray", vmin=0, vmax=1, extent=(x, x + across, y + down, y), aspect="auto")
    surface.add_patch(Rectangle((x, y), across, down, fill=False, color=frame, linestyle=line, linewidth=thick))


def text_colour(colour: tuple[float, float, float, float]) -> str:
    """Return black or white, whichever has the higher contrast to a background, RGBA in [0, 1].

    References:
        Relative luminance and contrast: W3C, Web Content Accessibility Guidelines 2.1, 2018.
    """
    channels = np.array(colour[:3])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return "black" if linear @ (0.2126, 0.7152, 0.0722) > 0.179 else "white"


def save(drawing: Figure, path: Path) -> None:
    """Write a figure as PNG, without the version of matplotlib, which would change its bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    drawing.savefig(path, dpi=DPI, metadata={"Software": None})
