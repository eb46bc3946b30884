"""A network's architecture as boxes in the order of the flow; two backbones stand side by side and join."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

from bonexray.explain.diagram import Block, Diagram
from bonexray.figures.canvas.canvas import BLUE, GRAY, GREEN, ORANGE, VERMILION, figure, save

COLOURS = {"image": GRAY, "maps": BLUE, "tokens": GREEN, "features": ORANGE, "classes": VERMILION}
WIDTH, GAP, MARGIN, LINE = 4.4, 0.24, 0.5, 0.185  # inches: a box, between two, between branches, a line of text
CHARACTERS = 62  # of a line in a box
HEAD = 0.55  # inches, for the title


def architecture(diagram: Diagram, title: str, path: Path) -> None:
    """Draw a network: what each block is, the shape it gives, its parameters and its multiply-adds.

    Args:
        diagram: the blocks.
        title: of the model.
        path: the PNG to write.
    """
    branches = diagram.branches or {"": []}
    room = 2 * GAP if len(branches) > 1 else 0  # for arrows that part and meet
    joint = _height([diagram.image]) + max(_height(blocks) for blocks in branches.values()) + room
    width, height = len(branches) * (WIDTH + MARGIN), joint + _height(diagram.trunk)
    drawing, axes = figure(width=width, height=height + HEAD)
    axis = axes[0, 0]
    axis.set_axis_off()
    axis.set(xlim=(0, width), ylim=(height, -0.03))
    _draw(axis, diagram.image, branches, diagram.trunk, joint)
    every = [*diagram.trunk, *(block for blocks in branches.values() for block in blocks)]
    axis.set_title(f"{title}\n{_costs(every)} an image", fontsize=11)
    save(drawing, path)


def _draw(axis: Axes, image: Block, branches: dict[str, list[Block]], trunk: Sequence[Block], joint: float) -> None:
    places = [(number + 0.5) * (WIDTH + MARGIN) for number in range(len(branches))]
    middle, begin = sum(places) / len(places), _height([image])
    _box(axis, image, middle, 0)
    for place, (name, blocks) in zip(places, branches.items(), strict=True):
        start = begin + (GAP if len(places) > 1 else 0)
        _arrow(axis, (middle, begin - GAP), (place, start))
        if len(places) > 1:
            axis.text(
                place, start - 0.06, f"  {name}  ", fontsize=9, va="bottom", ha="left" if place > middle else "right"
            )
        if blocks:
            end = _chain(axis, blocks, place, start)
            _arrow(axis, (place, end - GAP), (middle, joint))
    _chain(axis, trunk, middle, joint)


def _chain(axis: Axes, blocks: Sequence[Block], x: float, y: float) -> float:
    """Draw boxes below each other, with arrows between; gives where a next one would begin."""
    for number, block in enumerate(blocks):
        if number:
            _arrow(axis, (x, y - GAP), (x, y))
        _box(axis, block, x, y)
        y += _height([block])
    return y


def _box(axis: Axes, block: Block, x: float, y: float) -> None:
    colour, lines = COLOURS[block.kind], _lines(block)
    tall = _height([block]) - GAP
    shape = FancyBboxPatch(
        (x - WIDTH / 2, y),
        WIDTH,
        tall,
        boxstyle="round,pad=0,rounding_size=0.06",
        edgecolor=colour,
        linewidth=1.5,
        facecolor=(*mpl.colors.to_rgb(colour), 0.12),
    )
    axis.add_patch(shape)
    for number, line in enumerate(lines):
        weight, size = ("bold", 9.5) if number == 0 else ("normal", 8.5)
        axis.text(x, y + 0.06 + LINE * (number + 0.5), line, ha="center", va="center", fontsize=size, fontweight=weight)


def _arrow(axis: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    style = {"arrowstyle": "-|>", "color": "black", "linewidth": 1, "shrinkA": 0, "shrinkB": 0}
    axis.annotate("", xy=end, xytext=start, arrowprops=style)


def _lines(block: Block) -> list[str]:
    shape = " × ".join(map(str, block.shape))
    costs = [text for text in [_costs([block])] if text]
    kinds = ", ".join(kind.replace(" ", "\u00a0") for kind in block.layers.split(", "))  # a count stays with its kind
    return [f"{block.title}: {shape}", *textwrap.wrap(kinds, CHARACTERS), *costs]


def _height(blocks: Sequence[Block]) -> float:
    """Of boxes below each other, in inches, with a gap behind each."""
    return sum(LINE * len(_lines(block)) + 0.12 + GAP for block in blocks)


def _costs(blocks: Sequence[Block]) -> str:
    parameters, cost = sum(block.parameters for block in blocks), sum(block.multiply_adds for block in blocks)
    known = [(parameters, "parameters"), (cost, "multiply-adds")]
    return ", ".join(f"{_count(number)} {what}" for number, what in known if number)


def _count(number: int) -> str:
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:.3g} {unit}" if number / size < 999.5 else f"{number / size:.0f} {unit}"
    return str(number)
