"""The comparison as a table: a row for each model and ensemble, and the model that validation chooses."""

import math
from collections.abc import Collection, Mapping, Sequence

import pandas as pd

from bonexray.aggregate.panel import PREFIX
from bonexray.registry import model_row

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
