"""Scores of a class stay those of the class, whatever it is called: in the evaluation, in JSON and in MLflow."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mlflow.utils.validation import _validate_metric_name
from sklearn import metrics as sk

from bonexray.base.files import read_json, write_json
from bonexray.evaluate.bootstrap import draw
from bonexray.evaluate.curves import GRID, roc_curves
from bonexray.evaluate.evaluation import evaluate
from bonexray.evaluate.settings import Evaluate
from bonexray.figures.model.evaluation import _wide
from bonexray.tracking.store import escaped, flat, metrics_of, unescaped

HOSTILE = ["low", "high", "mean", "sd", "", "a.b", "a/b", "classes", "normal", "macro_average", "recall", "è", ":2e:"]
HOSTILE += [
    "low_high",
    "normal_low",
    "support",
    "balanced_accuracy",
    "confusion",
    "n",
    ".",
    "..",
    " ",
    "a_b",
    "false_positive_rate",
]
names = st.lists(
    st.sampled_from(HOSTILE) | st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=6),
    min_size=2,
    max_size=4,
    unique=True,
)
few_examples = settings(
    max_examples=8, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def trained(classes: list[str], repeats: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Return predictions for 24 images with every class in each split."""
    rng, tables = np.random.default_rng(len(classes)), []
    for repeat in range(1, repeats + 1):
        labels = np.array(classes, dtype=object)[np.arange(24) % len(classes)]
        split = np.repeat(["train", "val", "test"], 8)
        paths = [f"{n}.png" for n in range(24)]
        table = pd.DataFrame({"id": paths, "path": paths, "group": paths, "split": split, "label": labels})
        tables.append(table.assign(repeat=repeat, fold=1, predicted=labels))
    return pd.concat(tables, ignore_index=True), rng.dirichlet(np.ones(len(classes)), 24 * repeats)


def expected_of(rows: pd.DataFrame, probabilities: np.ndarray, classes: list[str], repeat: int) -> dict[tuple, float]:
    """Return the scores of a repeat by scikit-learn, by their path in the nested scores."""
    test = ((rows["split"] == "test") & (rows["repeat"] == repeat)).to_numpy()
    labels, values = rows.loc[test, "label"].to_numpy(), probabilities[test]
    answers = np.array(classes, dtype=object)[values.argmax(axis=1)]
    expected = {("accuracy",): np.mean(labels == answers)}
    expected["roc_auc",] = np.mean([sk.roc_auc_score(labels == c, values[:, n]) for n, c in enumerate(classes)])
    for number, name in enumerate(classes):
        true, given_ = labels == name, answers == name
        of_class = {
            "support": true.sum(),
            "recall": sk.recall_score(true, given_),
            "precision": sk.precision_score(true, given_, zero_division=0),
            "f1": sk.f1_score(true, given_, zero_division=0),
            "specificity": sk.recall_score(~true, ~given_),
            "roc_auc": sk.roc_auc_score(true, values[:, number]),
            "average_precision": sk.average_precision_score(true, values[:, number]),
        }
        expected |= {("classes", name, score): value for score, value in of_class.items()}
        expected |= {("confusion", name, other): np.sum(true & (answers == other)) for other in classes}
    return expected


@few_examples
@given(names, st.integers(1, 2))
def test_every_class_keeps_its_scores_from_evaluation_to_mlflow(tmp_path: Path, classes: list[str], repeats: int):
    rows, probabilities = trained(classes, repeats)
    scores = evaluate(rows, probabilities, classes, Evaluate(resamples=100), False, "train").scores
    write_json(tmp_path / "scores.json", scores)
    read = read_json(tmp_path / "scores.json")
    logged = {metric.key: metric.value for metric in metrics_of(dict(flat(read)), 0)}
    for key in logged:
        _validate_metric_name(f"test/{key}")
    back = {tuple(unescaped(part) for part in key.split(".")): value for key, value in logged.items()}
    each = [expected_of(rows, probabilities, classes, repeat) for repeat in range(1, repeats + 1)]
    expected = {key: np.mean([values[key] for values in each]) for key in each[0]}
    expected |= {key: value for key, value in each[0].items() if key[0] == "confusion"}  # of the first repeat
    for key, value in expected.items():
        assert back[key] == pytest.approx(value), key
        held = read
        for part in key:
            held = held[part]
        assert held == pytest.approx(value), key
    for path, value in back.items():
        if path[0] != "confusion" and path[-1].endswith("_low"):
            assert value <= back[(*path[:-1], path[-1].removesuffix("_low"))] + 1e-12


@given(st.text(st.characters(exclude_categories=["Cs"])), st.text(st.characters(exclude_categories=["Cs"])))
def test_an_escaped_name_is_read_back_and_has_no_separator(one: str, other: str) -> None:
    assert unescaped(escaped(one)) == one
    assert (escaped(one) == escaped(other)) == (one == other)
    assert re.fullmatch(r"[\w\-: ]+", escaped(one))


def test_the_table_of_curves_has_a_column_of_its_own_for_each_class() -> None:
    classes = ["false_positive_rate", "macro_average", "class_macro_average"]
    labels, probabilities = np.arange(12) % 3, np.random.default_rng(1).dirichlet(np.ones(3), 12)
    table = roc_curves(labels, probabilities, draw(np.arange(12), 10, 7), classes, 0.9)
    wide = _wide(table, "false_positive_rate", "true_positive_rate", classes)
    assert wide.columns.is_unique and list(wide["false_positive_rate"]) == pytest.approx(list(GRID))
    each = []
    for number, name in enumerate(classes):
        false, true, _ = sk.roc_curve(labels == number, probabilities[:, number], drop_intermediate=False)
        each.append(np.interp(GRID, false, true))
        assert wide[f"class_{name}"].to_numpy() == pytest.approx(each[-1])
    assert wide["macro_average"].to_numpy() == pytest.approx(np.mean(each, axis=0))
