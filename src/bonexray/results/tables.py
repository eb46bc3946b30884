"""The comparison as a table: the file's columns, and how a terminal shows it."""

from collections.abc import Mapping

import pandas as pd
from rich.table import Table

from bonexray.results.wording import number, percent, with_interval

NEAR = 0.05  # of balanced accuracy


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


def comparison_sentence(comparison: pd.DataFrame) -> str:
    """One sentence on what the study cannot tell from the highest score on test."""
    best, others = comparison.iloc[0]["title"], comparison.iloc[1:]
    alike = list(others.loc[others["not_distinguishable"] == 1, "title"])
    test = "(paired bootstrap over groups, Holm's correction over all pairs)"
    if others.empty:
        return "One model, compared with no other."
    if len(alike) == len(others):
        who = "the other cannot" if len(others) == 1 else "none of the others can"
        return f"{best} is highest on test, but {who} be told from it {test}: no best network is established."
    if not alike:
        return f"{best} is highest on test and can be told from {'the other' if len(others) == 1 else 'all others'} {test}."
    return f"{best} is highest on test; not told from it: {', '.join(alike)} {test}."


def rows_shown(comparison: pd.DataFrame, chosen: str, top: int | None) -> list[dict[str, object]]:
    """Return the rows of the best `top` models, and of the chosen one whatever its rank; all where `top` is None."""
    rows = comparison.to_dict("records")
    return [row for place, row in enumerate(rows) if top is None or place < top or row["model"] == chosen]


def terminal_table(comparison: pd.DataFrame, headline: Mapping[str, object], top: int | None = None) -> Table:
    """Return the ranked table for a terminal; `top` as in `rows_shown`."""
    chosen, dataset = headline["model"], headline["dataset"]
    interval = f"{percent(headline['confidence'])} intervals: bootstrap over groups of images (patients, sources)"
    caption = "\n".join(
        [f"* chosen on validation   {interval}", comparison_sentence(comparison), *warnings_of(headline)]
    )
    table = Table(title=f"Comparison on the test images of {dataset}", caption=caption)
    for name in ("", "model", "balanced accuracy", "accuracy", "macro F1", "ROC AUC", "note"):
        table.add_column(name, justify="left" if name in ("model", "note") else "right", no_wrap=name != "note")
    for row in rows_shown(comparison, chosen, top):
        table.add_row(
            str(row["rank"]),
            f"{row['title']}{' *' if row['model'] == chosen else ''}",
            with_interval(row, "balanced_accuracy"),
            with_interval(row, "accuracy"),
            number(row["macro_f1"]),
            number(row["roc_auc"]),
            "collapsed: one answer to everything" if row["collapsed"] else "",
        )
    first = comparison.iloc[0]
    table.add_section()
    table.add_row(
        "",
        "always the majority class",
        f"{first['baseline_balanced_accuracy']:.3f}",
        f"{first['baseline_accuracy']:.3f}",
        "",
        "",
        f"n = {int(first['n'])} images",
    )
    return table


def markdown_table(
    comparison: pd.DataFrame, headline: Mapping[str, object], denoise: Mapping[str, float], top: int | None = None
) -> str:
    """Return the ranked table in Markdown, with warnings and the image quality; `top` as in `rows_shown`."""
    lines = [
        f"| | model | starts from | balanced accuracy ({percent(headline['confidence'])} interval) | accuracy | macro F1 | ROC AUC |",
        "| --: | --- | --- | --- | --- | --: | --: |",
    ]
    for row in rows_shown(comparison, headline["model"], top):
        name = f"**{row['title']}** (chosen on validation)" if row["model"] == headline["model"] else row["title"]
        name += ", collapsed" if row["collapsed"] else ""
        scores = f"{with_interval(row, 'balanced_accuracy')} | {with_interval(row, 'accuracy')}"
        lines.append(
            f"| {row['rank']} | {name} | {row['starts_from']} | {scores} | {number(row['macro_f1'])} | {number(row['roc_auc'])} |"
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
    return "\n".join([*lines, "", quality, "", comparison_sentence(comparison), *warnings_of(headline)])
