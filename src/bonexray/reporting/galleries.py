"""Images in rows: samples, and what a model answered to them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from bonexray.reporting.figures import BLUE, GRAY, VERMILION, figure, save


def sample_predictions(images: Sequence[np.ndarray], rows: pd.DataFrame, title: str, path: Path) -> None:
    """Images with their actual and predicted class; right answers are framed blue, wrong ones vermilion.

    Args:
        images: float (px, px) in [0, 1], one a row of `rows`.
        rows: label, predicted and probability of the predicted class.
        title: above all of them.
        path: the PNG to write.
    """
    columns = min(4, len(images))
    drawing, axes = figure(
        -(-len(images) // columns), columns, width=2.6 * columns, height=3.1 * -(-len(images) // columns)
    )
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
        axis.set_axis_off()
    for axis, image, row in zip(axes.flat, images, rows.itertuples(), strict=False):
        right = row.label == row.predicted
        _image(axis, image, BLUE if right else VERMILION)
        answer = f"{row.predicted} ({row.probability:.2f})"
        axis.set_title(f"{'right' if right else 'wrong'}: {answer}\nactual: {row.label}", fontsize=9)
    drawing.suptitle(title)
    save(drawing, path)


def image_gallery(classes: Mapping[str, Sequence[np.ndarray]], title: str, path: Path) -> None:
    """A row of sample images a class, float (height, width) in [0, 1]."""
    columns = max(len(images) for images in classes.values())
    drawing, axes = figure(len(classes), columns, width=1.9 * columns + 0.4, height=1.95 * len(classes) + 0.4)
    for line, (name, images) in zip(axes, classes.items(), strict=True):
        for axis, image in zip(line, images, strict=False):
            _image(axis, image, GRAY)
        for axis in line[len(images) :]:
            axis.set_axis_off()
        line[0].set_ylabel(name)
    drawing.suptitle(title)
    save(drawing, path)


def _image(axis: Axes, image: np.ndarray, frame: str) -> None:
    axis.set_axis_on()
    axis.imshow(image, cmap="gray", vmin=0, vmax=1)
    axis.set(xticks=[], yticks=[])
    for spine in axis.spines.values():
        spine.set(visible=True, color=frame, linewidth=2.5)
