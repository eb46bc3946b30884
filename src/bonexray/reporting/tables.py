"""The comparison as a table: the file's columns, and how a terminal shows it."""

import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import pandas as pd
from rich.table import Table

from bonexray.evaluation.panel import PREFIX
from bonexray.models.registry import model_row
from bonexray.reporting.wording import number, percent, with_interval

COMPARISON = Path("metrics/comparison.csv")
MODELS = Path("metrics/models.json")
PAIRS = Path("metrics/pairs.csv")
RANKS = Path("metrics/ranks.json")
DATA = Path("metrics/data.json")
DENOISE = Path("metrics/denoise.json")
BEGIN, END = "<!-- results: written by `bonexray table --into README.md` -->", "<!-- end of results -->"
NEAR = 0.05  # of balanced accuracy
COLUMNS = [
    "rank",
    "model",
    "title",
    "kind",
    "starts_from",
    "n",
    "balanced_accuracy",
    "balanced_accuracy_low",
    "balanced_accuracy_high",
    "balanced_accuracy_mean",
    "balanced_accuracy_sd",
    "accuracy",
    "accuracy_low",
    "accuracy_high",
    "macro_precision",
    "macro_recall",
    "macro_specificity",
    "macro_f1",
    "roc_auc",
    "roc_auc_low",
    "roc_auc_high",
    "macro_average_precision",
    "cohen_kappa",
    "quadratic_weighted_kappa",
    "mean_absolute_grade_error",
    "matthews_correlation",
    "log_loss",
    "brier",
    "expected_calibration_error",
    "calibrated_expected_calibration_error",
    "temperature",
    "baseline_accuracy",
    "baseline_balanced_accuracy",
    "collapsed",
    "not_distinguishable",
    "val_balanced_accuracy",
    "val_log_loss",
    "epochs",
    "parameters",
    "multiply_adds",
    "file_mb",
    "leak_suspect",
]
ONLY_SOME = [
    "balanced_accuracy_mean",
    "balanced_accuracy_sd",
    "quadratic_weighted_kappa",
    "mean_absolute_grade_error",
    "epochs",
    "parameters",
    "multiply_adds",
    "file_mb",
]  # of studies with repeats, of ordered classes, of networks but not of ensembles
FITTED_ON = ["val_balanced_accuracy", "val_log_loss"]  # an ensemble was fitted on validation: its score there is none
HEADLINES = (
    "balanced_accuracy",
    "balanced_accuracy_low",
    "balanced_accuracy_high",
    "accuracy",
    "accuracy_low",
    "accuracy_high",
    "macro_f1",
    "roc_auc",
    "baseline_accuracy",
    "baseline_balanced_accuracy",
    "collapsed",
    "n",
    "val_balanced_accuracy",
    "leak_suspect",
)
WITH_REPEATS = ("balanced_accuracy_mean", "balanced_accuracy_sd")


def title_of(name: str) -> str:
    """A model or an ensemble as a reader knows it."""
    return f"Ensemble ({name.removeprefix(PREFIX)})" if name.startswith(PREFIX) else model_row(name).title


def comparison_table(
    models: Mapping[str, Mapping[str, float]], starts: Mapping[str, str], alike: Collection[str]
) -> pd.DataFrame:
    """One row a model, ranked by balanced accuracy on test, with the columns `COLUMNS`; NaN where one does not apply.

    Args:
        models: name to scores, of ensembles too.
        starts: name to what its training started from, for all but ensembles.
        alike: names of the best and of those that the study cannot tell from it.
    """
    rows = pd.DataFrame(
        [
            {
                "model": name,
                "title": title_of(name),
                "kind": "ensemble" if name.startswith(PREFIX) else "model",
                "starts_from": "its members" if name.startswith(PREFIX) else starts[name],
                "not_distinguishable": int(name in alike),
                **dict.fromkeys(ONLY_SOME, math.nan),
                **scores,
                **(dict.fromkeys(FITTED_ON, math.nan) if name.startswith(PREFIX) else {}),
            }
            for name, scores in models.items()
        ]
    )
    rows = rows.sort_values(["balanced_accuracy", "model"], ascending=[False, True]).reset_index(drop=True)
    rows.insert(0, "rank", rows["balanced_accuracy"].rank(ascending=False, method="min").astype(int))
    return rows[COLUMNS]


def headline_of(
    chosen: str,
    models: Mapping[str, Mapping[str, float]],
    dataset: str,
    best: str,
    alike: Sequence[str],
    data: Mapping[str, object],
) -> dict[str, object]:
    """The scores of the model that validation chose, and what must be said beside them.

    Args:
        chosen: by validation.
        models: name to scores, of ensembles too.
        dataset: its name.
        best: the highest on test.
        alike: those that the study cannot tell from the best.
        data: of metrics/data.json.
    """
    scores = models[chosen]
    return {
        "model": chosen,
        "dataset": dataset,
        **{name: scores[name] for name in HEADLINES},
        **{name: scores[name] for name in WITH_REPEATS if name in scores},
        "best": best,
        "not_distinguishable": list(alike),
        "shortcut_balanced_accuracy": data["shortcut_balanced_accuracy"],
    }


def best_on_test(models: Mapping[str, Mapping[str, float]]) -> str:
    """The highest balanced accuracy on test; of equals the one that `comparison_table` puts first."""
    return min(models, key=lambda name: (-models[name]["balanced_accuracy"], name))


def chosen_on_validation(models: dict[str, dict[str, float]]) -> str:
    """The model that validation prefers: balanced accuracy, then log loss; what collapsed there only if all did."""
    return min(
        models,
        key=lambda name: (
            models[name]["val_collapsed"],
            -models[name]["val_balanced_accuracy"],
            models[name]["val_log_loss"],
            name,
        ),
    )


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


def told_apart(comparison: pd.DataFrame) -> str:
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


def terminal_table(comparison: pd.DataFrame, headline: Mapping[str, object]) -> Table:
    """The ranked table as a terminal shows it."""
    chosen, dataset = headline["model"], headline["dataset"]
    interval = f"{percent(headline['confidence'])} intervals: bootstrap over groups of images (patients, sources)"
    caption = "\n".join([f"* chosen on validation   {interval}", told_apart(comparison), *warnings_of(headline)])
    table = Table(title=f"Comparison on the test images of {dataset}", caption=caption)
    for name in ("", "model", "balanced accuracy", "accuracy", "macro F1", "ROC AUC", "note"):
        table.add_column(name, justify="left" if name in ("model", "note") else "right", no_wrap=name != "note")
    for row in comparison.to_dict("records"):
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


def markdown_table(comparison: pd.DataFrame, headline: Mapping[str, object], denoise: Mapping[str, float]) -> str:
    """The same for a README: the ranked table, warnings, and what the filter did to the images."""
    lines = [
        f"| | model | starts from | balanced accuracy ({percent(headline['confidence'])} interval) | accuracy | macro F1 | ROC AUC |",
        "| --: | --- | --- | --- | --- | --: | --: |",
    ]
    for row in comparison.to_dict("records"):
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
    return "\n".join([*lines, "", quality, "", told_apart(comparison), *warnings_of(headline)])
