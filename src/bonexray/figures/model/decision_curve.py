"""Net benefit of acting on a model's probability, by threshold."""

from pathlib import Path

import numpy as np
import pandas as pd

from bonexray.figures.canvas.canvas import BLUE, GRAY, ORANGE, SMALL, TEXT, board, fit_head, plot_at, save, write_head

WIDTH, HEIGHT = 4.2, 2.8  # inches
LINES = {"model": (BLUE, "-", "the model"), "all": (ORANGE, "--", "treat all"), "none": (GRAY, ":", "treat none")}


def decision_curve(curve: pd.DataFrame, positive: str, prevalence: float, title: str, path: Path) -> None:
    """Draw the net benefit of the model, of treating all and of treating none.

    Args:
        curve: threshold, model, all and none, by rising threshold.
        positive: the positive classes, in words.
        prevalence: share of positive cases, the largest possible net benefit.
        title: above the plot.
        path: the PNG to write.

    References:
        Vickers and Elkin, Decision curve analysis, 2006.
    """
    left, width = 0.95, WIDTH + 1.15
    note = f"treated: {positive}; prevalence {prevalence:.2f}"
    head, small, top = fit_head(title, width, note)
    drawing, surface = board(width, top + HEIGHT + 0.6)
    write_head(surface, head, small)
    axis = plot_at(drawing, left, top, WIDTH, HEIGHT)
    for column, (colour, line, label) in LINES.items():
        axis.plot(curve["threshold"], curve[column], color=colour, linestyle=line, linewidth=1.6, label=label)
    lowest = np.nanmin([-0.25 * prevalence, curve["model"].min()])  # treating all goes on without end
    axis.set(xlim=(0, 1), ylim=(max(lowest, -prevalence) - 0.01, 1.1 * prevalence), xticks=[0, 0.25, 0.5, 0.75, 1])
    axis.set_ylabel("net benefit", size=TEXT)
    axis.set_xlabel("threshold of the probability", size=TEXT)
    axis.legend(loc="upper right", fontsize=SMALL, frameon=False)
    save(drawing, path)
