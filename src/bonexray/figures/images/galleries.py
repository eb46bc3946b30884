"""Images in rows: samples, and what a model answered to them."""

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
    """Images with their actual and predicted class; right answers are framed blue, wrong ones vermilion and dashed.

    Args:
        images: float (px, px) in [0, 1], one a row of `rows`.
        rows: label, predicted and probability of the predicted class.
        title: above all of them.
        path: the PNG to write.
    """
    columns = min(4, len(images))
    width = 2 * PAD + max(columns, 2) * (TILE + GAP)
    head, small, top = fit_head(title, width)
    answers = [
        _answer(
            f"{'right' if row.label == row.predicted else 'wrong'}: {row.predicted} ({row.probability:.2f})", row.label
        )
        for row in rows.itertuples()
    ]
    room = max(height_of(text, SMALL) for text in answers) + 0.1
    drawing, surface = board(width, top + -(-len(images) // columns) * (TILE + GAP + room))
    write_head(surface, head, small)
    for place, (image, row) in enumerate(zip(images, rows.itertuples(), strict=True)):
        x = PAD + place % columns * (TILE + GAP)
        y = top + place // columns * (TILE + GAP + room) + room
        right = row.label == row.predicted
        surface.text(x, y - 0.05, answers[place], size=SMALL, va="bottom")
        draw_image(surface, x, y, TILE, image, BLUE if right else VERMILION, "-" if right else "--")
    save(drawing, path)


def misclassified(images: Sequence[np.ndarray], rows: pd.DataFrame, title: str, path: Path) -> None:
    """The wrong answers, the surest first, up to `ERRORS`, each with the probabilities of all classes as bars.

    Args:
        images: float (px, px) in [0, 1], the n-th belongs to the n-th of `rows`; only those shown are read.
        rows: one row a test image: label, predicted, and prob_<class> of every class in the class map's order.
        title: above all of them.
        path: the PNG to write.
    """
    classes = [name.removeprefix("prob_") for name in rows if name.startswith("prob_")]
    wrong = surest_errors(rows)
    note = f"wrong: {len(wrong)} of {len(rows)} test images"
    note += f", here the {ERRORS} surest" if len(wrong) > ERRORS else ""
    note += "; • and blue: the actual class"
    note = note if len(wrong) else f"No test image was answered wrongly, of {len(rows)}."
    shown = wrong[:ERRORS]
    columns = min(4, max(len(shown), 2))
    width = 2 * PAD + columns * (TILE + GAP)
    head, small, top = fit_head(title, width, note)
    line = height_of("", SMALL)
    answers = [_answer(f"predicted: {rows['predicted'].iloc[n]}", rows["label"].iloc[n]) for n in shown]
    room = max((height_of(text, SMALL) for text in answers), default=0) + 0.1
    tall = room + TILE + len(classes) * line + 0.08 + GAP
    drawing, surface = board(width, max(1, top + -(-len(shown) // columns) * tall))
    write_head(surface, head, small)
    for place, number in enumerate(shown):
        row = rows.iloc[number]
        x, y = PAD + place % columns * (TILE + GAP), top + place // columns * tall + room
        surface.text(x, y - 0.05, answers[place], size=SMALL, va="bottom")
        draw_image(surface, x, y, TILE, images[number], VERMILION, "--")
        _bars(surface, x, y + TILE + 0.08, {name: row[f"prob_{name}"] for name in classes}, row["label"])
    save(drawing, path)


def surest_errors(rows: pd.DataFrame) -> list[int]:
    """Places of the wrong answers in `rows`, by falling probability of the predicted class, equals in their order."""
    wrong = np.flatnonzero((rows["label"] != rows["predicted"]).to_numpy())
    sure = np.array([rows[f"prob_{rows['predicted'].iloc[n]}"].iloc[n] for n in wrong], dtype=float)
    return wrong[np.argsort(-sure, kind="stable")].tolist()


def image_gallery(classes: Mapping[str, Sequence[np.ndarray]], title: str, path: Path) -> None:
    """A row of sample images a class, float (height, width) in [0, 1]."""
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


def _answer(said: str, actual: str) -> str:
    return f"{fit_text(said, TILE + 0.08, SMALL, 2)}\n{fit_text(f'actual: {actual}', TILE + 0.08, SMALL, 2)}"


def _bars(surface: Axes, x: float, y: float, probabilities: Mapping[str, float], actual: str) -> None:
    line, name_width, bar = height_of("", SMALL), 0.5 * TILE, 0.28 * TILE
    names = fit_distinct([f"• {n}" if n == actual else n for n in probabilities], name_width, SMALL - 1)
    for place, (name, value) in enumerate(probabilities.items()):
        middle = y + (place + 0.5) * line
        surface.text(x, middle, names[place], size=SMALL - 1, va="center")
        surface.add_patch(Rectangle((x + name_width + 0.05, middle - 0.04), bar, 0.08, color=PALE, linewidth=0))
        colour = BLUE if name == actual else VERMILION
        surface.add_patch(
            Rectangle((x + name_width + 0.05, middle - 0.04), bar * value, 0.08, color=colour, linewidth=0)
        )
        surface.text(x + TILE, middle, f"{value:.2f}", size=SMALL - 1, ha="right", va="center")
