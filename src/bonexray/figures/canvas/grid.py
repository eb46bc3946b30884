"""A grid of images with a caption above each."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bonexray.figures.canvas.canvas import GRAY, PAD, SMALL, board, draw_image, fit_head, save, write_head
from bonexray.figures.canvas.labels import fit_text, height_of

GAP = 0.15  # inches between images


def image_grid(
    pictures: Sequence[tuple[str, np.ndarray]], columns: int, side: float, title: str, path: Path, note: str = ""
) -> None:
    """Draw images row by row, each below its caption.

    Args:
        pictures: caption and image, float (height, width) in [0, 1]; there may be none.
        columns: number of images in a row.
        side: longer side of an image in inches.
        title: above all of them.
        path: the PNG to write.
        note: below the title.
    """
    columns = max(1, min(columns, len(pictures)))
    width = max(2 * PAD + columns * (side + GAP), 4.2)
    head, small, top = fit_head(title, width, note)
    captions = [fit_text(caption, side + GAP / 2, SMALL, 3) for caption, _ in pictures]
    room = max((height_of(caption, SMALL) for caption in captions), default=0) + 0.1
    high = side * max((image.shape[0] / max(image.shape[:2]) for _, image in pictures), default=0)
    drawing, surface = board(width, max(1, top + -(-len(pictures) // columns) * (room + high + GAP)))
    write_head(surface, head, small)
    for number, (caption, (_, image)) in enumerate(zip(captions, pictures, strict=True)):
        x = PAD + number % columns * (side + GAP)
        y = top + room + number // columns * (room + high + GAP)
        surface.text(x, y - 0.05, caption, size=SMALL, va="bottom")
        draw_image(surface, x, y - (side - high) / 2, side, image, GRAY, thick=0.8)
    save(drawing, path)
