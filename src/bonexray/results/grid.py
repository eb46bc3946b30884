"""The scores of many experiments side by side: each model with each filter."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

FILTERS = Path("reports/benchmark_results.csv")
SCORES = {
    "Accuracy": "accuracy",
    "Precision": "macro_precision",
    "Recall": "macro_recall",
    "F1-Score": "macro_f1",
}
METHOD = "denoise.method"
UNFINISHED = ("Running", "Queued", "Failed")
_OF_A_MODEL = re.compile(r"(?:metrics/models\.json:)?(\w+)\.accuracy")


def filter_grid(experiments: Iterable[Mapping[str, object]]) -> pd.DataFrame:
    """One row a model and filter, by the first experiment that has both.

    Args:
        experiments: as `dvc.api.exp_show` gives them, with parameters and metrics under their names; DVC leaves a
            metric's file out of its name where no other file has it.

    Returns:
        Model, Filter, Accuracy, Precision, Recall, F1-Score (macro, test images), by model and falling accuracy.
    """
    rows = []
    for experiment in experiments:
        if experiment.get("State") in UNFINISHED:
            continue
        for key, value in experiment.items():
            if (found := _OF_A_MODEL.fullmatch(key)) and isinstance(value, int | float) and experiment.get(METHOD):
                prefix = key.removesuffix("accuracy")
                scores = {name: experiment[f"{prefix}{score}"] for name, score in SCORES.items()}
                rows.append({"Model": found[1], "Filter": experiment[METHOD], **scores})
    table = pd.DataFrame(rows, columns=["Model", "Filter", *SCORES]).drop_duplicates(["Model", "Filter"])
    return table.sort_values(["Model", "Accuracy"], ascending=[True, False]).reset_index(drop=True)
