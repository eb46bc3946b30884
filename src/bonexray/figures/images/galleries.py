"""Galleries of images: samples of each class, predictions, and misclassified images."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from bonexray.figures.canvas.canvas import (
    BLUE,
    GRAY,
    PAD,
    PALE,
    SMALL,
    TEXT,
    VERMILION,
    board,
    draw_image,
    fit_head,
    save,
    write_head,
)
from bonexray.figures.canvas.labels import fit_distinct, fit_text, height_of, width_of

TILE = 1.9  # inches, side of an image
GAP = 0.2
ERRORS = 12


def sample_predictions(images: Sequence[np.ndarray], rows: pd.DataFrame, title: str, path: Path) -> None:
    """Draw images with actual and predicted class, framed blue if correct, else vermilion and dashed.

    Args:
        images: float (px, px) in [0, 1], one for each of `rows`.
        rows: label, predicted and probability of the predicted class.
        title: above all of them.
        path: the PNG to write.
    """
    columns = min(4, len(images))
    width = 2 * PAD + max(columns, 2) * (TILE + GAP)
    head, small, top = fit_head(title, width)
    captions = [
        _caption(
            f"{'right' if row.label == row.predicted else 'wrong'}: {row.predicted} ({row.probability:.2f})", row.label
        )
        for row in rows.itertuples()
    ]
    room = max(height_of(text, SMALL) for text in captions) + 0.1
    drawing, surface = board(width, top + -(-len(images) // columns) * (TILE + GAP + room))
    write_head(surface, head, small)
    for position, (image, row) in enumerate(zip(images, rows.itertuples(), strict=True)):
        x = PAD + position % columns * (TILE + GAP)
        y = top + position // columns * (TILE + GAP + room) + room
        right = row.label == row.predicted
        surface.text(x, y - 0.05, captions[position], size=SMALL, va="bottom")
        draw_image(surface, x, y, TILE, image, BLUE if right else VERMILION, "-" if right else "--")
    save(drawing, path)


def misclassified(
    images: Sequence[np.ndarray], rows: pd.DataFrame, title: str, path: Path, unit: str = "image"
) -> None:
    """Draw misclassified images, the most confident first, at most `ERRORS`, with the probabilities of all classes.

    Args:
        images: float (px, px) in [0, 1], in the order of `rows`; only those drawn are read.
        rows: one row per test image or patient: label, predicted, and prob_<class> for every class in order.
        title: above all of them.
        path: the PNG to write.
        unit: what a row stands for, image or patient.
    """
    classes = [name.removeprefix("prob_") for name in rows if name.startswith("prob_")]
    wrong = surest_errors(rows)
    note = f"wrong: {len(wrong)} of {len(rows)} test {unit}s"
    note += f", here the {ERRORS} most confident" if len(wrong) > ERRORS else ""
    note += "; • and blue: the actual class"
    note = note if len(wrong) else f"All {len(rows)} test {unit}s are classified correctly."
    selected = wrong[:ERRORS]
    columns = min(4, max(len(selected), 2))
    width = 2 * PAD + columns * (TILE + GAP)
    head, small, top = fit_head(title, width, note)
    line = height_of("", SMALL)
    captions = [_caption(f"predicted: {rows['predicted'].iloc[n]}", rows["label"].iloc[n]) for n in selected]
    room = max((height_of(text, SMALL) for text in captions), default=0) + 0.1
    tall = room + TILE + len(classes) * line + 0.08 + GAP
    drawing, surface = board(width, max(1, top + -(-len(selected) // columns) * tall))
    write_head(surface, head, small)
    for position, number in enumerate(selected):
        row = rows.iloc[number]
        x, y = PAD + position % columns * (TILE + GAP), top + position // columns * tall + room
        surface.text(x, y - 0.05, captions[position], size=SMALL, va="bottom")
        draw_image(surface, x, y, TILE, images[number], VERMILION, "--")
        _bars(surface, x, y + TILE + 0.08, {name: row[f"prob_{name}"] for name in classes}, row["label"])
    save(drawing, path)


def surest_errors(rows: pd.DataFrame) -> list[int]:
    """Return the positions of misclassified rows, by falling probability of the predicted class, ties in order."""
    wrong = np.flatnonzero((rows["label"] != rows["predicted"]).to_numpy())
    confidence = np.array([rows[f"prob_{rows['predicted'].iloc[n]}"].iloc[n] for n in wrong], dtype=float)
    return wrong[np.argsort(-confidence, kind="stable")].tolist()


def image_gallery(classes: Mapping[str, Sequence[np.ndarray]], title: str, path: Path) -> None:
    """Draw a row of sample images, float (height, width) in [0, 1], for each class."""
    names = fit_distinct(classes, 1.3, TEXT, 6)
    left = PAD + max(width_of(name, TEXT) for name in names) + 0.1
    columns = max(len(images) for images in classes.values())
    width = max(left + columns * (TILE + 0.06) + PAD, 4.2)
    head, small, top = fit_head(title, width)
    drawing, surface = board(width, top + len(classes) * (TILE + 0.06) + PAD)
    write_head(surface, head, small)
    for row, (name, images) in enumerate(zip(names, classes.values(), strict=True)):
        y = top + row * (TILE + 0.06)
        surface.text(left - 0.1, y + TILE / 2, name, size=TEXT, ha="right", va="center")
        for column, image in enumerate(images):
            draw_image(surface, left + column * (TILE + 0.06), y, TILE, image, GRAY, "-", 0.8)
    save(drawing, path)


def _caption(text: str, actual: str) -> str:
    return f"{fit_text(text, TILE + 0.08, SMALL, 2)}\n{fit_text(f'actual: {actual}', TILE + 0.08, SMALL, 2)}"


def _bars(surface: Axes, x: float, y: float, probabilities: Mapping[str, float], actual: str) -> None:
    line, name_width, bar = height_of("", SMALL), 0.5 * TILE, 0.28 * TILE
    names = fit_distinct([f"• {n}" if n == actual else n for n in probabilities], name_width, SMALL - 1)
    for position, (name, value) in enumerate(probabilities.items()):
        middle = y + (position + 0.5) * line
        surface.text(x, middle, names[position], size=SMALL - 1, va="center")
        surface.add_patch(Rectangle((x + name_width + 0.05, middle - 0.04), bar, 0.08, color=PALE, linewidth=0))
        colour = BLUE if name == actual else VERMILION
        surface.add_patch(
            Rectangle((x + name_width + 0.05, middle - 0.04), bar * value, 0.08, color=colour, linewidth=0)
        )
        surface.text(x + TILE, middle, f"{value:.2f}", size=SMALL - 1, ha="right", va="center")
