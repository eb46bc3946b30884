"""A block diagram of a network from the image down to the classes; several backbones stand side by side and join."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

from bonexray.explain.diagram import Block, Diagram
from bonexray.figures.canvas.canvas import BLUE, GRAY, GREEN, ORANGE, TEXT, VERMILION, board, fit_head, save, write_head
from bonexray.figures.canvas.labels import fit_text, width_of

COLOURS = {"image": GRAY, "maps": BLUE, "tokens": GREEN, "features": ORANGE, "classes": VERMILION}
WIDTH, GAP, MARGIN, LINE = 4.4, 0.24, 0.5, 0.185  # inches: a box, between two, between branches, a line of text
TITLE, DETAIL = 9.5, 8.5  # points: the first line of a box, and all others


def architecture(diagram: Diagram, title: str, path: Path) -> None:
    """Draw the blocks of a network, each with its output shape, parameters and multiply-adds.

    Args:
        diagram: the blocks.
        title: of the model.
        path: the PNG to write.
    """
    branches = diagram.branches or {"": []}
    fork = 2 * GAP if len(branches) > 1 else 0  # for arrows that part and meet
    joint = _height([diagram.image]) + max(_height(blocks) for blocks in branches.values()) + fork
    width = len(branches) * (WIDTH + MARGIN)
    blocks = [*diagram.trunk, *(block for branch in branches.values() for block in branch)]
    head, small, top = fit_head(title, width, f"{_costs(blocks)} per image")
    drawing, surface = board(width, top + joint + _height(diagram.trunk))
    write_head(surface, head, small)
    _draw(surface, diagram.image, branches, diagram.trunk, (top, top + joint))
    save(drawing, path)


def _draw(
    surface: Axes,
    image: Block,
    branches: dict[str, list[Block]],
    trunk: Sequence[Block],
    heights: tuple[float, float],
) -> None:
    """Draw all boxes between the top of the image's and the end of the trunk's, which begins at the joint."""
    top, joint = heights
    centres = [(number + 0.5) * (WIDTH + MARGIN) for number in range(len(branches))]
    middle, fork = sum(centres) / len(centres), top + _height([image])
    _box(surface, image, middle, top)
    for centre, (name, blocks) in zip(centres, branches.items(), strict=True):
        start = fork + (GAP if len(centres) > 1 else 0)
        _arrow(surface, (middle, fork - GAP), (centre, start))
        if len(centres) > 1:
            right = centre > middle
            x, side = centre + (0.1 if right else -0.1), "left" if right else "right"
            surface.text(x, start - 0.06, fit_text(name, WIDTH / 2 - 0.1, TEXT), size=TEXT, va="bottom", ha=side)
        if blocks:
            end = _chain(surface, blocks, centre, start)
            _arrow(surface, (centre, end - GAP), (middle, joint))
    _chain(surface, trunk, middle, joint)


def _chain(surface: Axes, blocks: Sequence[Block], x: float, y: float) -> float:
    """Draw boxes below each other with arrows between them, and return the top of the next one."""
    for number, block in enumerate(blocks):
        if number:
            _arrow(surface, (x, y - GAP), (x, y))
        _box(surface, block, x, y)
        y += _height([block])
    return y


def _box(surface: Axes, block: Block, x: float, y: float) -> None:
    colour = COLOURS[block.kind]
    shape = FancyBboxPatch(
        (x - WIDTH / 2, y),
        WIDTH,
        _height([block]) - GAP,
        boxstyle="round,pad=0,rounding_size=0.06",
        edgecolor=colour,
        linewidth=1.5,
        facecolor=(*mpl.colors.to_rgb(colour), 0.12),
    )
    surface.add_patch(shape)
    for number, line in enumerate(_lines(block)):
        weight, size = ("normal", DETAIL) if number else ("bold", TITLE)
        middle = y + 0.06 + LINE * (number + 0.5)
        surface.text(x, middle, line, size=size, weight=weight, ha="center", va="center")


def _arrow(surface: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    style = {"arrowstyle": "-|>", "color": "black", "linewidth": 1, "shrinkA": 0, "shrinkB": 0}
    surface.annotate("", xy=end, xytext=start, arrowprops=style)


def _lines(block: Block) -> list[str]:
    """Return the title and shape, the layers in as many lines as they need, and the costs."""
    shape = " × ".join(map(str, block.shape))
    costs = [text for text in [_costs([block])] if text]
    layers: list[str] = []
    for layer in filter(None, block.layers.split(", ")):  # a count stays with its layer
        longer = f"{layers[-1]}, {layer}" if layers else layer
        if layers and width_of(longer, DETAIL) <= WIDTH - 0.2:
            layers[-1] = longer
        else:
            layers[-1:] = [f"{layers[-1]},", layer] if layers else [layer]
    return [f"{block.title}: {shape}", *layers, *costs]


def _height(blocks: Sequence[Block]) -> float:
    """Return the height of boxes below each other in inches, with a gap after each."""
    return sum(LINE * len(_lines(block)) + 0.12 + GAP for block in blocks)


def _costs(blocks: Sequence[Block]) -> str:
    counts = {
        "parameters": sum(block.parameters for block in blocks),
        "multiply-adds": sum(block.multiply_adds for block in blocks),
    }
    return ", ".join(f"{_count(count)} {name}" for name, count in counts.items() if count)


def _count(number: int) -> str:
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:.3g} {unit}" if number / size < 999.5 else f"{number / size:.0f} {unit}"
    return str(number)
