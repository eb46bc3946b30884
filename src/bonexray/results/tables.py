"""The comparison as a table for the terminal and in Markdown."""

from collections.abc import Mapping, Sequence

import pandas as pd
from rich.table import Table

from bonexray.data.scores import collapse_of
from bonexray.registry import model_title
from bonexray.results.wording import count, missing, number, percent, signed, with_interval

NOT_ABOVE = "†"  # marks a model that is not shown to beat the best baseline
CEILING = "ceiling_balanced_accuracy"  # only in the headline of a simulated cohort
CEILING_ROW = "ceiling: the true bone of the simulation"
CLOSE = 0.05  # difference in balanced accuracy
QUALITY = (("psnr_before_db", "psnr_after_db"), ("ssim_before", "ssim_after"))


def warnings_of(headline: Mapping[str, object]) -> list[str]:
    """Return warnings about the images, one sentence each."""
    shortcut, warnings = headline["shortcut_balanced_accuracy"], []
    if headline["leak_suspect"]:
        warnings.append(
            "leak_suspect: the dataset's own split has copies of an image, or one patient, on both sides, so these scores "
            "may be too high; see reports/audit.md."
        )
    if shortcut is not None and shortcut > headline["balanced_accuracy"] - CLOSE:
        warnings.append(
            f"Size and format of the file and brightness, contrast and sharpness of the picture alone reach a balanced "
            f"accuracy of {shortcut:.3f}, {_against(shortcut, headline['balanced_accuracy'])}: the model may have learned "
            "nothing else; see reports/audit.md."
        )
    return warnings


def _against(shortcut: float, chosen: float) -> str:
    return "close to the chosen model's" if shortcut <= chosen else "more than the chosen model's"


def comparison_sentence(comparison: pd.DataFrame) -> str:
    """Return one sentence on the highest test score and the models that cannot be distinguished from it."""
    best, others = comparison.iloc[0]["title"], comparison.iloc[1:]
    alike = list(others.loc[others["not_distinguishable"] == 1, "title"])
    test = "(paired bootstrap over groups, Holm's correction for all pairs)"
    if others.empty:
        return "The study has a single model, so nothing is compared."
    if len(alike) == len(others):
        who = "the other model cannot" if len(others) == 1 else "no other model can"
        tie = f"{who} be distinguished from it {test}: no model is established as the best."
        return f"{best} has the highest test score, but {tie}"
    if not alike:
        who = "the other model" if len(others) == 1 else "every other model"
        return f"{best} has the highest test score and differs significantly from {who} {test}."
    return f"{best} has the highest test score; not distinguishable from it: {', '.join(alike)} {test}."


def choice_words(headline: Mapping[str, object]) -> str:
    """Return what marks the row of the headline's model."""
    return "best over all validation images" if headline.get("chosen_by_fold") else "chosen on validation"


def choice_sentences(headline: Mapping[str, object]) -> list[str]:
    """Return one sentence on the score of what the folds chose; nothing for a fixed split."""
    if not headline.get("chosen_by_fold"):
        return []
    score = with_interval(headline, "balanced_accuracy")
    return [
        f"Each fold chose on its own validation images; on test, these choices reach a balanced accuracy of {score}."
    ]


def baseline_sentences(comparison: pd.DataFrame, headline: Mapping[str, object]) -> list[str]:
    """Return one sentence on the chosen model and the best baseline; nothing without their difference."""
    if missing(headline.get("above_baseline")):
        return []
    titles = dict(zip(comparison["model"], comparison["title"], strict=True))
    low, high = headline["above_baseline_low"], headline["above_baseline_high"]
    verb = "beats" if low > 0 else "is worse than" if high < 0 else "is not shown to beat"
    return [
        f"{titles[headline['model']]} {verb} the {baseline_of(headline)} "
        f"({number(headline['best_baseline_balanced_accuracy'])}): difference {signed(headline['above_baseline'])} "
        f"({signed(low)} to {signed(high)})."
    ]


def baseline_of(headline: Mapping[str, object]) -> str:
    """Return the title of the best baseline within a sentence."""
    title = model_title(str(headline["best_baseline"]))
    return title[0].lower() + title[1:]


def beats_baseline(row: Mapping[str, object]) -> bool:
    """Return whether the interval of a model's difference from the best baseline lies above 0; True for baselines."""
    low = row.get("above_baseline_low")
    return row.get("kind") == "baseline" or missing(low) or low > 0


def baseline_notes(rows: Sequence[Mapping[str, object]], headline: Mapping[str, object]) -> list[str]:
    """Return the explanation of the mark of models that do not beat the best baseline; nothing if all do."""
    if all(map(beats_baseline, rows)):
        return []
    return [f"{NOT_ABOVE} not shown to beat the {baseline_of(headline)}"]


def ceiling_sentences(headline: Mapping[str, object]) -> list[str]:
    """Return one sentence on the score of a simulated cohort's own truth; nothing for real images."""
    if CEILING not in headline:
        return []
    return [
        "Ceiling: a logistic regression on the true trabecular volume and cortex of the simulation, which no network sees, "
        f"reaches a balanced accuracy of {with_interval(headline, CEILING)}."
    ]


def rows_shown(comparison: pd.DataFrame, chosen: str, top: int | None) -> list[dict[str, object]]:
    """Return the rows of the best `top` models and of the chosen one; all rows if `top` is None."""
    rows = comparison.to_dict("records")
    return [row for index, row in enumerate(rows) if top is None or index < top or row["model"] == chosen]


def terminal_table(comparison: pd.DataFrame, headline: Mapping[str, object], top: int | None = None) -> Table:
    """Return the ranked table for a terminal, without `comparison_sentence`; `top` as in `rows_shown`."""
    chosen, dataset = headline["model"], headline["dataset"]
    interval = f"{percent(headline['confidence'])} intervals over groups of images (patients, sources)"
    rows = rows_shown(comparison, chosen, top)
    notes = "   ".join([f"* {choice_words(headline)}", *baseline_notes(rows, headline), interval])
    caption = "\n".join([notes, *_sentences(comparison, headline)])
    table = Table(title=f"Comparison on the test images of {dataset}", caption=caption)
    for name in ("", "model", "balanced accuracy", "accuracy", "macro F1", "ROC AUC", "note"):
        table.add_column(name, justify="left" if name in ("model", "note") else "right", no_wrap=name != "note")
    for row in rows:
        table.add_row(
            str(row["rank"]),
            f"{row['title']}{' *' if row['model'] == chosen else ''}{'' if beats_baseline(row) else f' {NOT_ABOVE}'}",
            with_interval(row, "balanced_accuracy"),
            with_interval(row, "accuracy"),
            number(row["macro_f1"]),
            number(row["roc_auc"]),
            f"collapsed: {collapse}" if (collapse := collapse_of(row)) else "",
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
    if CEILING in headline:
        table.add_row("", CEILING_ROW, with_interval(headline, CEILING), "", "", "", "")
    return table


def markdown_table(
    comparison: pd.DataFrame, headline: Mapping[str, object], denoise: Mapping[str, float], top: int | None = None
) -> str:
    """Return the ranked table in Markdown, with warnings and the image quality; `top` as in `rows_shown`."""
    lines = [
        f"| | model | starts from | balanced accuracy ({percent(headline['confidence'])} interval) | accuracy | macro F1 | ROC AUC |",
        "| --: | --- | --- | --- | --- | --: | --: |",
    ]
    rows = rows_shown(comparison, headline["model"], top)
    for row in rows:
        name = f"**{row['title']}** ({choice_words(headline)})" if row["model"] == headline["model"] else row["title"]
        name += "" if beats_baseline(row) else f" {NOT_ABOVE}"
        name += ", collapsed" if row["collapsed"] else ", nearly collapsed" if collapse_of(row) else ""
        scores = f"{with_interval(row, 'balanced_accuracy')} | {with_interval(row, 'accuracy')}"
        lines.append(
            f"| {row['rank']} | {name} | {row['starts_from']} | {scores} | {number(row['macro_f1'])} | {number(row['roc_auc'])} |"
        )
    first = comparison.iloc[0]
    lines.append(
        f"| | always the majority class | | {first['baseline_balanced_accuracy']:.3f} | {first['baseline_accuracy']:.3f} | | |"
    )
    if CEILING in headline:
        lines.append(f"| | {CEILING_ROW} | | {with_interval(headline, CEILING)} | | | |")
    notes = "".join(f"; {note}" for note in baseline_notes(rows, headline))
    quality = f"n = {int(first['n'])} test images{notes}. {_quality_sentence(denoise)}"
    return "\n\n".join(["\n".join(lines), quality, comparison_sentence(comparison), *_sentences(comparison, headline)])


def _sentences(comparison: pd.DataFrame, headline: Mapping[str, object]) -> list[str]:
    """Return the sentences below the table, beside that of `comparison_sentence`."""
    return [
        *choice_sentences(headline),
        *baseline_sentences(comparison, headline),
        *ceiling_sentences(headline),
        *warnings_of(headline),
    ]


def _quality_sentence(denoise: Mapping[str, float]) -> str:
    """Return one sentence on PSNR and SSIM; without clean originals they are measured on a sample with added noise."""
    verb = "raised" if all(denoise[after] > denoise[before] for before, after in QUALITY) else "changed"
    change = (
        f"PSNR from {denoise['psnr_before_db']:.1f} to {denoise['psnr_after_db']:.1f} dB "
        f"and SSIM from {denoise['ssim_before']:.2f} to {denoise['ssim_after']:.2f}"
    )
    images = count(denoise["images"], "image")
    if "added_sigma" in denoise:
        return f"On {images} to which noise of sigma {denoise['added_sigma']:g} was added, filtering {verb} {change}."
    return f"Filtering {verb} {change} (n = {images})."
