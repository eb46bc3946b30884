"""The models of a study beside each other."""

from pathlib import Path

import pandas as pd

from bonexray.reporting.figures import BLUE, GRAY, ORANGE, VERMILION, figure, save

SCORES = {"accuracy": "Accuracy", "macro_precision": "Precision", "macro_recall": "Recall", "macro_f1": "F1"}


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
