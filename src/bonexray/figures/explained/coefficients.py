"""The coefficients of a baseline: what each number of an image says about each class."""

from pathlib import Path

import numpy as np
import pandas as pd

from bonexray.figures.canvas.canvas import BLUE, PAD, SMALL, TEXT, VERMILION, board, fit_head, plot_at, save, write_head
from bonexray.figures.canvas.labels import fit_text, width_of

ROW, WIDE, GAP = 0.24, 1.9, 0.25  # inches: height of a row, width of a class, and between two
NOTE = (
    "change in the score of a class when a number rises by one standard deviation; blue: more likely, vermilion: less"
)


def coefficient_bars(table: pd.DataFrame, title: str, path: Path) -> None:
    """Draw a row of bars for each number and a column for each class, the most telling number at the top.

    Args:
        table: a row for each number, by its name, and a column for each class.
        title: of the figure.
        path: the PNG to write.
    """
    table = table.loc[table.abs().max(axis=1).sort_values(ascending=False, kind="stable").index]
    names = [name.replace("glcm", "GLCM").replace("lbp", "LBP").replace("_", " ") for name in table.index]
    left = PAD + max(width_of(name, SMALL) for name in names) + 0.12
    width = left + len(table.columns) * (WIDE + GAP)
    head, small, top = fit_head(title, max(width, 4.5), NOTE)
    top += 0.22
    drawing, surface = board(max(width, 4.5), top + ROW * len(table) + 0.4)
    write_head(surface, head, small)
    reach = max(table.abs().to_numpy().max(), np.finfo(float).tiny) * 1.05
    for number, name in enumerate(names):
        surface.text(left - 0.1, top + (number + 0.5) * ROW, name, size=SMALL, ha="right", va="center")
    for column, name in enumerate(table.columns):
        x, values = left + column * (WIDE + GAP), table[name].to_numpy()
        surface.text(x + WIDE / 2, top - 0.06, fit_text(name, WIDE, TEXT), size=TEXT, ha="center", va="bottom")
        axis = plot_at(drawing, x, top, WIDE, ROW * len(table))
        axis.barh(range(len(table)), values, color=np.where(values < 0, VERMILION, BLUE), height=0.7)
        axis.axvline(0, color="black", linewidth=0.8)
        axis.set(xlim=(-reach, reach), ylim=(len(table) - 0.5, -0.5), yticks=[])
        axis.locator_params(axis="x", nbins=4)
    save(drawing, path)
