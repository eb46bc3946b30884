"""The table of the comparison, and the model chosen on validation."""

import math
from collections.abc import Collection, Mapping, Sequence

import pandas as pd

from bonexray.data.scores import PREFIX
from bonexray.registry import BASELINES, model_title

COLUMNS = [
    "rank",
    "model",
    "title",
    "kind",
    "starts_from",
    "unit",
    "n",
    "balanced_accuracy",
    "balanced_accuracy_low",
    "balanced_accuracy_high",
    "balanced_accuracy_sd",
    "patient_balanced_accuracy",
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
    "no_skill_log_loss",
    "brier",
    "expected_calibration_error",
    "calibrated_expected_calibration_error",
    "temperature",
    "baseline_accuracy",
    "baseline_balanced_accuracy",
    "collapsed",
    "nearly_collapsed",
    "largest_predicted_share",
    "not_distinguishable",
    "above_baseline",
    "above_baseline_low",
    "above_baseline_high",
    "val_balanced_accuracy",
    "val_log_loss",
    "val_no_skill_log_loss",
    "epochs",
    "parameters",
    "multiply_adds",
    "file_mb",
    "leak_suspect",
]
OPTIONAL = [
    "balanced_accuracy_sd",
    "patient_balanced_accuracy",
    "quadratic_weighted_kappa",
    "mean_absolute_grade_error",
    "above_baseline",
    "above_baseline_low",
    "above_baseline_high",
    "epochs",
    "parameters",
    "multiply_adds",
    "file_mb",
]  # present only with repeats, with several images of a patient, for ordered classes, or not for every kind
SUMMARY = ["balanced_accuracy", "balanced_accuracy_low", "balanced_accuracy_high", "macro_f1", "roc_auc"]
SUMMARY_OF_MODEL = ["balanced_accuracy", "roc_auc"]
VALIDATION = [
    "val_balanced_accuracy",
    "val_log_loss",
    "val_no_skill_log_loss",
]  # left empty for ensembles, which are fitted on validation
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
    "log_loss",
    "no_skill_log_loss",
    "collapsed",
    "nearly_collapsed",
    "unit",
    "n",
    "val_balanced_accuracy",
    "leak_suspect",
)
WITH_REPEATS = ("balanced_accuracy_sd",)


def title_of(name: str) -> str:
    """Return the title of a model or ensemble."""
    return f"Ensemble ({name.removeprefix(PREFIX)})" if name.startswith(PREFIX) else model_title(name)


def kind_of(name: str) -> str:
    """Return `model`, `baseline` or `ensemble`."""
    return "ensemble" if name.startswith(PREFIX) else "baseline" if name in BASELINES else "model"


def comparison_table(
    models: Mapping[str, Mapping[str, float]],
    starts: Mapping[str, str],
    alike: Collection[str],
    above: Mapping[str, Mapping[str, float]] | None = None,
) -> pd.DataFrame:
    """Return a row for each model, ranked by balanced accuracy on test; NaN where a column does not apply.

    Args:
        models: model or ensemble to its scores.
        starts: model to what its training started from; no ensembles.
        alike: the best model and those that do not differ significantly from it.
        above: model or ensemble to its difference from the best baseline, see `differences_from`; None without baselines.

    Returns:
        A table with the columns `COLUMNS`.
    """
    rows = pd.DataFrame(
        [
            {
                "model": name,
                "title": title_of(name),
                "kind": kind_of(name),
                "starts_from": "its members" if name.startswith(PREFIX) else starts[name],
                "not_distinguishable": int(name in alike),
                **dict.fromkeys(OPTIONAL, math.nan),
                **scores,
                **(above or {}).get(name, {}),
                **(dict.fromkeys(VALIDATION, math.nan) if name.startswith(PREFIX) else {}),
            }
            for name, scores in models.items()
        ]
    )
    rows = rows.sort_values(["balanced_accuracy", "model"], ascending=[False, True]).reset_index(drop=True)
    rows.insert(0, "rank", rows["balanced_accuracy"].rank(ascending=False, method="min").astype(int))
    return rows[COLUMNS]


def headline_of(
    chosen: str,
    scores: Mapping[str, float],
    dataset: str,
    best: str,
    alike: Sequence[str],
    data: Mapping[str, object],
) -> dict[str, object]:
    """Return the scores of the model chosen on validation, and the facts needed to read them.

    Args:
        chosen: the model chosen on validation.
        scores: its scores; with folds, those of what each fold chose.
        dataset: name of the data set.
        best: the model with the highest test score.
        alike: models that do not differ significantly from the best.
        data: content of metrics/data.json.
    """
    return {
        "model": chosen,
        "dataset": dataset,
        **{name: scores[name] for name in HEADLINES},
        **{name: scores[name] for name in WITH_REPEATS if name in scores},
        "best": best,
        "not_distinguishable": list(alike),
        "shortcut_balanced_accuracy": data["shortcut_balanced_accuracy"],
    }


def summary_of(headline: Mapping[str, object], scores: Mapping[str, Mapping[str, object]]) -> dict[str, object]:
    """Return the few numbers that DVC compares: the chosen model's, and two of each model."""
    return {
        "chosen": headline["model"],  # not "model": the setting of that name stands beside it in `dvc exp show`
        **{name: headline[name] for name in SUMMARY},
        "models": {model: {name: own[name] for name in SUMMARY_OF_MODEL} for model, own in scores.items()},
    }


def against_baseline(baseline: str, scores: Mapping[str, float], above: Mapping[str, float]) -> dict[str, object]:
    """Return the best baseline on validation, its test score, and by how much what is reported is above it."""
    score = "balanced_accuracy"
    ends = {f"best_baseline_{score}{end}": scores[f"{score}{end}"] for end in ("", "_low", "_high")}
    return {"best_baseline": baseline, **ends, **above}


def best_on_test(models: Mapping[str, Mapping[str, float]]) -> str:
    """Return the model with the highest balanced accuracy on test; in a tie, the first in `comparison_table`."""
    return min(models, key=lambda name: (-models[name]["balanced_accuracy"], name))
