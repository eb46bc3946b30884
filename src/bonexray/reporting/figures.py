"""The figures, in one colour-blind-safe style, the same bytes for the same numbers."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

# Okabe and Ito's palette, told apart by colour-blind readers and in gray print.
BLUE, ORANGE, GREEN, VERMILION, GRAY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#6E6E6E"
STYLE = {
    "font.size": 10, "axes.titlesize": 10, "axes.labelsize": 10, "axes.spines.top": False, "axes.spines.right": False,
    "figure.constrained_layout.use": True, "svg.hashsalt": "bonexray",
}  # fmt: skip
INCHES = 2.6  # side of one panel
SCORES = {"accuracy": "Accuracy", "macro_precision": "Precision", "macro_recall": "Recall", "macro_f1": "F1"}

Counts = Mapping[str, Mapping[str, int]]


def figure(
    rows: int = 1, columns: int = 1, *, width: float | None = None, height: float | None = None
) -> tuple[Figure, np.ndarray]:
    """A figure without a display and its axes, (rows, columns), about `INCHES` a panel unless a size is given."""
    with mpl.rc_context(STYLE):
        canvas = FigureCanvasAgg(Figure(figsize=(width or INCHES * columns, height or INCHES * rows)))
        return canvas.figure, canvas.figure.subplots(rows, columns, squeeze=False)


def save(drawing: Figure, path: Path) -> None:
    """Write a figure as PNG without the date or version that would change its bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    drawing.savefig(path, dpi=150, metadata={"Software": None})


def confusion_matrix(counts: Counts, title: str, path: Path) -> None:
    """Images by actual and predicted class; the shade is the share of the actual class."""
    drawing, axes = figure(width=4.2, height=3.9)
    _confusion(axes[0, 0], counts, title)
    save(drawing, path)


def confusion_grid(models: Mapping[str, Counts], path: Path) -> None:
    """The confusion matrices of all models side by side."""
    columns = min(3 if len(models) <= 9 else 5, len(models))
    drawing, axes = figure(
        -(-len(models) // columns), columns, width=3.9 * columns, height=3.6 * -(-len(models) // columns)
    )
    for axis, (title, counts) in zip(axes.flat, models.items(), strict=False):
        _confusion(axis, counts, title)
    for axis in axes.flat[len(models) :]:
        axis.set_axis_off()
    save(drawing, path)


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


def model_comparison(table: pd.DataFrame, chosen: str, path: Path) -> None:
    """Balanced accuracy on test with its interval, the best at the top, beside what chance and guessing give.

    Args:
        table: one row a model: title, balanced_accuracy, its _low and _high, baseline_balanced_accuracy, collapsed, n.
        chosen: title of the model that validation chose.
        path: the PNG to write.
    """
    table = table.sort_values("balanced_accuracy", kind="stable").reset_index(drop=True)
    drawing, axes = figure(width=7.2, height=1.5 + 0.36 * len(table))
    axis = axes[0, 0]
    for place, row in table.iterrows():
        colour = VERMILION if row["collapsed"] else (BLUE if row["title"] == chosen else GRAY)
        axis.plot(
            [row["balanced_accuracy_low"], row["balanced_accuracy_high"]],
            [place, place],
            color=colour,
            linewidth=2,
        )
        axis.plot(row["balanced_accuracy"], place, "o", color=colour)
        axis.annotate(
            f"{row['balanced_accuracy']:.2f}", (row["balanced_accuracy"], place), xytext=(0, 6),
            textcoords="offset points", ha="center", fontsize=9,
        )  # fmt: skip
    baseline = table["baseline_balanced_accuracy"].iloc[0]
    axis.axvline(baseline, color=ORANGE, linestyle="--", linewidth=1.2)
    axis.set_yticks(range(len(table)), [f"{t} *" if t == chosen else t for t in table["title"]])
    axis.set(
        xlim=(0, 1),
        ylim=(-0.6, len(table) - 0.2),
        xlabel="balanced accuracy on test, with its bootstrap interval over groups",
    )
    fallen = "; vermilion: one answer to everything" if table["collapsed"].any() else ""
    axis.set_title(
        f"{int(table['n'].iloc[0])} test images; blue and *: chosen on validation{fallen}\n"
        f"dashed: always the majority class ({baseline:.2f})",
        loc="left", fontsize=9,
    )  # fmt: skip
    save(drawing, path)


def evaluation_grid(table: pd.DataFrame, path: Path) -> None:
    """Four panels, one a score of `SCORES`, one bar a model, in the table's order."""
    drawing, axes = figure(2, 2, width=9, height=1.6 + 0.6 * len(table))
    titles = list(table["title"])[::-1]
    for axis, (score, label) in zip(axes.flat, SCORES.items(), strict=True):
        values = list(table[score])[::-1]
        axis.barh(titles, values, color=BLUE, height=0.65)
        for place, value in enumerate(values):
            axis.text(min(value + 0.01, 0.9), place, f"{value:.2f}", va="center", fontsize=9)
        axis.set(xlim=(0, 1), title=label if score == "accuracy" else f"{label}, mean over classes")
    for axis in axes[:, 1]:
        axis.set_yticklabels([])
    save(drawing, path)


def _confusion(axis: Axes, counts: Counts, title: str) -> None:
    names = list(counts)
    matrix = np.array([[counts[actual][predicted] for predicted in names] for actual in names])
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    axis.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(matrix):
        axis.text(
            column,
            row,
            count,
            ha="center",
            va="center",
            color="white" if share[row, column] > 0.5 else "black",
        )
    axis.set_xticks(range(len(names)), names, rotation=30, ha="right", rotation_mode="anchor")
    axis.set_yticks(range(len(names)), names)
    axis.set(xlabel="predicted", ylabel="actual", title=title)
    axis.spines[["left", "bottom"]].set_visible(False)


def _image(axis: Axes, image: np.ndarray, frame: str) -> None:
    axis.set_axis_on()
    axis.imshow(image, cmap="gray", vmin=0, vmax=1)
    axis.set(xticks=[], yticks=[])
    for spine in axis.spines.values():
        spine.set(visible=True, color=frame, linewidth=2.5)
