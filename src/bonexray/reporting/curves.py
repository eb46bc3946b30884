"""Curves of one model over its epochs."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd

from bonexray.reporting.figures import BLUE, GRAY, GREEN, ORANGE, figure, save


def learning_curves(history: pd.DataFrame, title: str, path: Path) -> None:
    """Accuracy and loss of training and validation over the epochs; the kept epoch and a second phase are marked."""
    drawing, axes = figure(1, 2, width=8, height=3.2)
    best = history.loc[history["val_loss"].idxmin(), "epoch"]
    second = history.loc[history["phase"] != history["phase"].iloc[0], "epoch"].min()
    for axis, name in zip(axes[0], ("accuracy", "loss"), strict=True):
        axis.plot(history["epoch"], history[name], color=BLUE, marker=".", label="training")
        axis.plot(
            history["epoch"],
            history[f"val_{name}"],
            color=ORANGE,
            marker=".",
            linestyle="--",
            label="validation",
        )
        axis.axvline(best, color=GRAY, linewidth=1, linestyle=":", label=f"kept: epoch {best}")
        if np.isfinite(second):
            axis.axvspan(second - 0.5, history["epoch"].max() + 0.5, color=GREEN, alpha=0.12, label="fine-tuning")
        axis.set(xlabel="epoch", ylabel=name)
        axis.xaxis.set_major_locator(mpl.ticker.MaxNLocator(integer=True))
    axes[0, 0].set_ylim(0, 1)
    axes[0, 1].legend(frameon=False)
    drawing.suptitle(title)
    save(drawing, path)
