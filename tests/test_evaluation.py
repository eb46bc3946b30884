"""All numbers of a model: in the class map's order, of the right split, each with its interval."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bonexray.config import Evaluate
from bonexray.evaluation.evaluate import evaluate
from bonexray.evaluation.metrics import all_metrics
from bonexray.evaluation.predictions import read_predictions, write_predictions

SETTINGS = Evaluate(resamples=200, confidence=0.95, seed=7)


def one_hot(answers: list[int], classes: int) -> np.ndarray:
    return np.eye(classes)[answers]


# The class map's order

UNSORTED = ["osteoporosis", "normal", "osteopenia"]


def predictions() -> tuple[pd.DataFrame, np.ndarray]:
    """Two images of each class and split; on test, one osteoporosis is taken for normal."""
    splits = [split for split in ("train", "val", "test") for _ in range(6)]
    labels = [*UNSORTED, *UNSORTED] * 3
    answers = [UNSORTED.index(label) for label in labels]
    answers[12] = UNSORTED.index("normal")
    rows = pd.DataFrame(
        {
            "id": [f"{i:016x}" for i in range(18)],
            "path": [f"{label}/{i}.png" for i, label in enumerate(labels)],
            "group": [f"p{i:03d}" for i in range(18)],
            "split": splits,
            "label": labels,
            "sha256": "0",
        }
    )
    return rows, one_hot(answers, 3) * 0.7 + 0.1


def test_predictions_carry_each_probability_under_its_own_class(tmp_path: Path) -> None:
    rows, probabilities = predictions()
    write_predictions(tmp_path / "p.csv", rows, probabilities, UNSORTED)
    written = pd.read_csv(tmp_path / "p.csv")
    assert list(written.columns[-3:]) == ["prob_osteoporosis", "prob_normal", "prob_osteopenia"]
    right = [label if i != 12 else "normal" for i, label in enumerate(rows["label"])]
    assert list(written["predicted"]) == right
    assert [written.loc[i, f"prob_{name}"] for i, name in enumerate(right)] == pytest.approx([0.8] * 18)


def test_predictions_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    rows, _ = predictions()
    rows.loc[0, ["group", "id"]] = ["007", "NA"]
    probabilities = np.random.default_rng(7).dirichlet(np.ones(3), 18)
    write_predictions(tmp_path / "p.csv", rows, probabilities, UNSORTED)
    read, values = read_predictions(tmp_path / "p.csv", UNSORTED)
    assert list(read.loc[0, ["group", "id"]]) == ["007", "NA"]
    assert list(read["label"]) == list(rows["label"])
    assert values == pytest.approx(probabilities, abs=2e-8)
    assert values.sum(axis=1) == pytest.approx(1, abs=1e-12)


def test_evaluation_follows_the_class_map_not_the_alphabet(tmp_path: Path) -> None:
    rows, probabilities = predictions()
    write_predictions(tmp_path / "p.csv", rows, probabilities, UNSORTED)
    scores = evaluate(*read_predictions(tmp_path / "p.csv", UNSORTED), UNSORTED, SETTINGS)
    assert scores["recall_osteoporosis"] == 0.5
    assert scores["recall_normal"] == scores["recall_osteopenia"] == 1
    assert scores["precision_normal"] == pytest.approx(2 / 3)
    assert scores["confusion"] == {
        "osteoporosis": {"osteoporosis": 1, "normal": 1, "osteopenia": 0},
        "normal": {"osteoporosis": 0, "normal": 2, "osteopenia": 0},
        "osteopenia": {"osteoporosis": 0, "normal": 0, "osteopenia": 2},
    }


def test_evaluation_keeps_the_splits_apart() -> None:
    rows, probabilities = predictions()
    scores = evaluate(rows, probabilities, UNSORTED, SETTINGS)
    assert (scores["n"], scores["n_groups"], scores["val_n"]) == (6, 6, 6)
    assert (scores["accuracy"], scores["val_accuracy"]) == (pytest.approx(5 / 6), 1)
    assert (scores["collapsed"], scores["baseline_accuracy"]) == (0, pytest.approx(1 / 3))


def test_a_collapse_is_told_by_the_test_images() -> None:
    rows, probabilities = predictions()
    probabilities[(rows["split"] == "test").to_numpy()] = [0.8, 0.1, 0.1]
    assert evaluate(rows, probabilities, UNSORTED, SETTINGS)["collapsed"] == 1


def test_every_score_has_an_interval_that_holds_it() -> None:
    rows, probabilities = predictions()
    scores = evaluate(rows, probabilities, UNSORTED, SETTINGS)
    for name in all_metrics(np.array([0]), np.ones((1, 3)) / 3, UNSORTED):
        if not name.startswith("support_"):
            assert scores[f"{name}_low"] <= scores[name] + 1e-12
            assert scores[name] <= scores[f"{name}_high"] + 1e-12
