"""The number of images of a study in each class and split."""

from collections.abc import Mapping
from pathlib import Path

from bonexray.figures.canvas.canvas import (
    BLUE,
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

LOOKS = ((BLUE, ""), (ORANGE, "////"), (GREEN, "...."), (VERMILION, "xxxx"))  # colour and hatch of each split
BAR = 0.19  # inches


def class_counts(splits: Mapping[str, Mapping[str, int]], path: Path) -> None:
    """Draw the number of images of each class in each split as bars.

    Args:
        splits: split to class to number of images; at most four splits, all with the same classes.
        path: the PNG to write.
    """
    classes = list(next(iter(splits.values())))
    names = fit_distinct(classes, 2.3, TEXT, 2)
    left = PAD + max(width_of(name, TEXT) for name in names) + 0.12
    block = BAR * len(splits) + 0.14
    most = max(count for counts in splits.values() for count in counts.values())
    total = sum(count for counts in splits.values() for count in counts.values())
    width = left + 3.6 + width_of(f"{most}", SMALL) + 0.1 + PAD
    head, small, top = fit_head("Images per class and split", width, f"{total} images")
    drawing, surface = board(width, top + 0.3 + block * len(classes) + 0.35)
    write_head(surface, head, small)
    axis = plot_at(drawing, left, top + 0.3, 3.6, block * len(classes))
    for order, ((split, counts), (colour, hatch)) in enumerate(zip(splits.items(), LOOKS, strict=False)):
        positions = [(0.07 + BAR * (order + 0.5)) + block * number for number in range(len(classes))]
        values = [counts[name] for name in classes]
        axis.barh(
            positions, values, height=BAR * 0.9, color=colour, hatch=hatch, edgecolor="white", linewidth=0, label=split
        )
        for position, value in zip(positions, values, strict=True):
            x = left + 3.6 * value / max(most, 1) + 0.05
            surface.text(x, top + 0.3 + position, f"{value}", size=SMALL, va="center")
    for number, name in enumerate(names):
        surface.text(left - 0.1, top + 0.3 + (number + 0.5) * block, name, size=TEXT, ha="right", va="center")
    axis.set(xlim=(0, max(most, 1)), ylim=(block * len(classes), 0), yticks=[])
    axis.xaxis.get_major_locator().set_params(integer=True, nbins=5)
    drawing.legend(
        *axis.get_legend_handles_labels(),
        loc="upper left",
        ncols=len(splits),
        frameon=False,
        fontsize=SMALL,
        bbox_to_anchor=((left - 0.1) / width, 1 - (top - 0.08) / drawing.get_size_inches()[1]),
    )
    save(drawing, path)
