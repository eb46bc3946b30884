"""The comparison as a table: the file's columns, and how a terminal shows it."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from rich.table import Table

from bonexray.models.registry import model_row

COMPARISON = Path("metrics/comparison.csv")
HEADLINE = Path("metrics/headline.json")
MODELS = Path("metrics/models.json")
DATA = Path("metrics/data.json")
DENOISE = Path("metrics/denoise.json")
BEGIN, END = "<!-- results: written by `bonexray table --into README.md` -->", "<!-- end of results -->"
NEAR = 0.05  # of balanced accuracy
COLUMNS = [
    "rank", "model", "title", "starts_from", "n", "balanced_accuracy", "balanced_accuracy_low", "balanced_accuracy_high",
    "accuracy", "accuracy_low", "accuracy_high", "macro_precision", "macro_recall", "macro_f1", "roc_auc",
    "baseline_accuracy", "baseline_balanced_accuracy", "collapsed", "val_balanced_accuracy", "val_log_loss", "epochs",
    "leak_suspect",
]  # fmt: skip


def comparison_table(models: dict[str, dict[str, float]], starts: dict[str, str]) -> pd.DataFrame:
    """One row a model, ranked by balanced accuracy on test, with the columns `COLUMNS`.

    Args:
        models: name to scores.
        starts: name to what its training started from.
    """
    rows = pd.DataFrame([
        {"model": name, "title": model_row(name).title, "starts_from": starts[name], **scores}
        for name, scores in models.items()
    ])  # fmt: skip
    rows = rows.sort_values(["balanced_accuracy", "model"], ascending=[False, True]).reset_index(drop=True)
    rows.insert(0, "rank", rows["balanced_accuracy"].rank(ascending=False, method="min").astype(int))
    return rows[COLUMNS]


def chosen_on_validation(models: dict[str, dict[str, float]]) -> str:
    """The model that validation prefers: balanced accuracy, then log loss; what collapsed there only if all did."""
    return min(models, key=lambda name: (
        models[name]["val_collapsed"], -models[name]["val_balanced_accuracy"], models[name]["val_log_loss"], name
    ))  # fmt: skip


def warnings_of(headline: Mapping[str, object]) -> list[str]:
    """What a reader of the results must know about the images, one sentence a warning."""
    shortcut, warnings = headline["shortcut_balanced_accuracy"], []
    if headline["leak_suspect"]:
        warnings.append(
            "leak_suspect: copies or patients stand on both sides of the dataset's own split, so these scores may be too "
            "good; see reports/audit.md."
        )
    if shortcut is not None and shortcut > headline["balanced_accuracy"] - NEAR:
        warnings.append(
            f"Facts about the files alone (size, format, mean brightness) reach a balanced accuracy of {shortcut:.3f}, "
            "near the chosen model's: it may have learnt no more; see reports/audit.md."
        )
    return warnings


def terminal_table(comparison: pd.DataFrame, headline: Mapping[str, object]) -> Table:
    """The ranked table as a terminal shows it."""
    chosen, dataset = headline["model"], headline["dataset"]
    caption = "* chosen on validation   intervals: bootstrap over groups of images (patients, sources)"
    caption = "\n".join([caption, *warnings_of(headline)])
    table = Table(title=f"Comparison on the test images of {dataset}", caption=caption)
    for name in ("", "model", "balanced accuracy", "accuracy", "macro F1", "ROC AUC", "note"):
        table.add_column(name, justify="left" if name in ("model", "note") else "right", no_wrap=name != "note")
    for row in comparison.to_dict("records"):
        table.add_row(
            str(row["rank"]), f"{row['title']}{' *' if row['model'] == chosen else ''}",
            _interval(row, "balanced_accuracy"), _interval(row, "accuracy"),
            f"{row['macro_f1']:.3f}", "–" if pd.isna(row["roc_auc"]) else f"{row['roc_auc']:.3f}",
            "collapsed: one answer to everything" if row["collapsed"] else "",
        )  # fmt: skip
    first = comparison.iloc[0]
    table.add_section()
    table.add_row(
        "", "always the majority class", f"{first['baseline_balanced_accuracy']:.3f}",
        f"{first['baseline_accuracy']:.3f}", "", "", f"n = {int(first['n'])} images",
    )  # fmt: skip
    return table


def markdown_table(comparison: pd.DataFrame, headline: Mapping[str, object], denoise: Mapping[str, float]) -> str:
    """The same for a README: the ranked table, warnings, and what the filter did to the images."""
    lines = [
        "| | model | starts from | balanced accuracy (95 % interval) | accuracy | macro F1 | ROC AUC |",
        "| --: | --- | --- | --- | --- | --: | --: |",
    ]
    for row in comparison.to_dict("records"):
        name = f"**{row['title']}** (chosen on validation)" if row["model"] == headline["model"] else row["title"]
        name += ", collapsed" if row["collapsed"] else ""
        scores = f"{_interval(row, 'balanced_accuracy')} | {_interval(row, 'accuracy')}"
        lines.append(
            f"| {row['rank']} | {name} | {row['starts_from']} | {scores} | {row['macro_f1']:.3f} | {row['roc_auc']:.3f} |"
        )
    first = comparison.iloc[0]
    lines.append(
        f"| | always the majority class | | {first['baseline_balanced_accuracy']:.3f} | {first['baseline_accuracy']:.3f} | | |"
    )
    quality = (
        f"n = {int(first['n'])} test images. The filter took the images from {denoise['psnr_before_db']:.1f} to "
        f"{denoise['psnr_after_db']:.1f} dB PSNR and from {denoise['ssim_before']:.2f} to {denoise['ssim_after']:.2f} SSIM "
        f"(n = {denoise['images']})."
    )
    return "\n".join([*lines, "", quality, *warnings_of(headline)])


def _interval(row: dict, name: str) -> str:
    return f"{row[name]:.3f} ({row[f'{name}_low']:.3f} to {row[f'{name}_high']:.3f})"
