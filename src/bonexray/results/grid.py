"""Table of scores by model and filter, from many experiments."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from bonexray.data.scores import PREFIX

FILTERS = Path("reports/benchmark_results.csv")
SCORES = {
    "Accuracy": "accuracy",
    "Precision": "macro_precision",
    "Recall": "macro_recall",
    "F1-Score": "macro_f1",
}
METHOD = "denoise.method"
UNFINISHED = ("Running", "Queued", "Failed")
_MODEL_ACCURACY = re.compile(r"(?:metrics/models\.json:)?(\w+)\.accuracy")


def filter_grid(experiments: Iterable[Mapping[str, object]]) -> pd.DataFrame:
    """Return a row for each model and filter, from the first experiment that has both.

    Args:
        experiments: rows of `dvc.api.exp_show`, with parameters and metrics by name. DVC prefixes a metric with its
            file only if several files have it.

    Returns:
        Model, Filter, Accuracy, Precision, Recall, F1-Score (macro, test images), by model and descending accuracy.
    """
    rows = []
    for experiment in experiments:
        if experiment.get("State") in UNFINISHED:
            continue
        for key, value in experiment.items():
            match = _MODEL_ACCURACY.fullmatch(key)
            if not match or match[1].startswith(PREFIX):  # ensembles stood among the models before 0.2.0
                continue
            if isinstance(value, int | float) and experiment.get(METHOD):
                prefix = key.removesuffix("accuracy")
                scores = {name: experiment[f"{prefix}{score}"] for name, score in SCORES.items()}
                rows.append({"Model": match[1], "Filter": experiment[METHOD], **scores})
    table = pd.DataFrame(rows, columns=["Model", "Filter", *SCORES]).drop_duplicates(["Model", "Filter"])
    return table.sort_values(["Model", "Accuracy"], ascending=[True, False]).reset_index(drop=True)
