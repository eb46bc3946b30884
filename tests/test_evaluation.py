"""Scores of a model follow the class map, belong to the right split and have intervals."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from trainings import UNSORTED, one_hot, predictions_of_trainings

from bonexray.data.folds import FIRST
from bonexray.data.predictions import read_predictions, write_predictions
from bonexray.evaluate.bootstrap import draw
from bonexray.evaluate.evaluation import Evaluation, evaluate, scores_of_trainings
from bonexray.evaluate.metrics import all_metrics, balanced_accuracy
from bonexray.evaluate.repeats import repeat_weights
from bonexray.evaluate.settings import Evaluate
from bonexray.evaluate.split_predictions import predictions_in

SETTINGS = Evaluate(resamples=200, confidence=0.95, seed=7)


# The class map's order


def predictions() -> tuple[pd.DataFrame, np.ndarray]:
    """Return predictions for two images of each class and split; on test, one osteoporosis is predicted as normal."""
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
            "fold": "",
            "sha256": "0",
        }
    )
    return rows, one_hot(answers, 3) * 0.7 + 0.1


def evaluated(rows: pd.DataFrame, probabilities: np.ndarray, ordered: bool = False) -> Evaluation:
    """Evaluate a single training, or the trainings that `rows` names."""
    named = rows if "repeat" in rows else rows.assign(repeat=1, fold=1)
    return evaluate(named, probabilities, UNSORTED, SETTINGS, ordered, "train")


def test_probabilities_are_written_under_their_class(tmp_path: Path) -> None:
    rows, probabilities = predictions()
    write_predictions(tmp_path / "p.csv", rows, {FIRST: probabilities}, UNSORTED)
    written = pd.read_csv(tmp_path / "p.csv")
    assert list(written.columns[-3:]) == ["prob_osteoporosis", "prob_normal", "prob_osteopenia"]
    right = [label if i != 12 else "normal" for i, label in enumerate(rows["label"])]
    assert list(written["predicted"]) == right
    assert [written.loc[i, f"prob_{name}"] for i, name in enumerate(right)] == pytest.approx([0.8] * 18)


def test_predictions_are_read_as_written(tmp_path: Path) -> None:
    rows, _ = predictions()
    rows.loc[0, ["group", "id"]] = ["007", "NA"]
    probabilities = np.random.default_rng(7).dirichlet(np.ones(3), 18)
    write_predictions(tmp_path / "p.csv", rows, {FIRST: probabilities}, UNSORTED)
    read, values = read_predictions(tmp_path / "p.csv", UNSORTED)
    assert list(read.loc[0, ["group", "id"]]) == ["007", "NA"]
    assert list(read["label"]) == list(rows["label"])
    assert values == pytest.approx(probabilities, abs=2e-8)
    assert values.sum(axis=1) == pytest.approx(1, abs=1e-12)


def test_evaluation_follows_the_order_of_the_class_map(tmp_path: Path) -> None:
    rows, probabilities = predictions()
    write_predictions(tmp_path / "p.csv", rows, {FIRST: probabilities}, UNSORTED)
    scores = evaluate(*read_predictions(tmp_path / "p.csv", UNSORTED), UNSORTED, SETTINGS, False, "train").scores
    assert scores["classes"]["osteoporosis"]["recall"] == 0.5
    assert scores["classes"]["normal"]["recall"] == scores["classes"]["osteopenia"]["recall"] == 1
    assert scores["classes"]["normal"]["precision"] == pytest.approx(2 / 3)
    assert scores["confusion"] == {
        "osteoporosis": {"osteoporosis": 1, "normal": 1, "osteopenia": 0},
        "normal": {"osteoporosis": 0, "normal": 2, "osteopenia": 0},
        "osteopenia": {"osteoporosis": 0, "normal": 0, "osteopenia": 2},
    }


def test_evaluation_separates_the_splits() -> None:
    rows, probabilities = predictions()
    scores = evaluated(rows, probabilities).scores
    assert (scores["n"], scores["n_groups"], scores["val_n"]) == (6, 6, 6)
    assert (scores["accuracy"], scores["val_accuracy"]) == (pytest.approx(5 / 6), 1)
    assert (scores["collapsed"], scores["baseline_accuracy"]) == (0, pytest.approx(1 / 3))


def test_collapse_is_detected_on_test() -> None:
    rows, probabilities = predictions()
    probabilities[(rows["split"] == "test").to_numpy()] = [0.8, 0.1, 0.1]
    assert evaluated(rows, probabilities).scores["collapsed"] == 1


def test_every_score_lies_in_its_interval() -> None:
    rows, probabilities = predictions()
    scores = evaluated(rows, probabilities).scores
    for block in (scores, *scores["classes"].values()):
        for name in [name.removesuffix("_low") for name in block if name.endswith("_low")]:
            assert block[f"{name}_low"] <= block[name] + 1e-12
            assert block[name] <= block[f"{name}_high"] + 1e-12


# Temperature


def test_temperature_is_fitted_on_validation() -> None:
    rows, probabilities = predictions_of_trainings(3, 1)
    before = evaluated(rows, probabilities).scores
    spoilt = rows.assign(label=np.where(rows["split"] == "test", "normal", rows["label"]))
    after = evaluated(spoilt, probabilities).scores
    assert after["temperature"] == before["temperature"]
    assert after["accuracy"] != before["accuracy"]
    other = rows.assign(label=np.where(rows["split"] == "val", "normal", rows["label"]))
    assert evaluated(other, probabilities).scores["temperature"] != before["temperature"]


def test_each_fold_has_its_own_temperature() -> None:
    rows, probabilities = predictions_of_trainings(3, 1)
    sure = probabilities.copy()
    sure[rows["fold"] == 2] = one_hot(list(probabilities[rows["fold"] == 2].argmax(axis=1)), 3) * 0.97 + 0.01
    plain, made_sure = (evaluated(rows, values) for values in (probabilities, sure))
    others = (plain.test.rows["fold"] != 2).to_numpy()
    assert made_sure.calibrated.probabilities[others] == pytest.approx(plain.calibrated.probabilities[others])
    assert made_sure.calibrated.probabilities[~others].max() < sure.max()


def test_temperature_changes_no_prediction() -> None:
    found = evaluated(*predictions_of_trainings(3, 1))
    assert (found.test.probabilities.argmax(axis=1) == found.calibrated.probabilities.argmax(axis=1)).all()
    assert found.scores["calibrated_log_loss"] != found.scores["log_loss"]


# Folds and repeats


def test_folds_are_scored_together() -> None:
    rows, probabilities = predictions_of_trainings(4, 2)
    found = evaluated(rows, probabilities)
    images = rows["id"].nunique()
    assert (found.scores["n"], found.scores["val_n"], found.scores["n_groups"]) == (images, images, images // 2)
    assert found.test.rows["id"].tolist() == list(dict.fromkeys(rows["id"]))
    for row, probability in zip(found.test.rows.itertuples(), found.test.probabilities, strict=True):
        mine = (rows["repeat"] == 1) & (rows["fold"] == row.fold) & (rows["id"] == row.id)
        assert rows.loc[mine, "split"].item() == "test"
        assert probability == pytest.approx(probabilities[mine.to_numpy()][0])


def test_place_is_the_row_in_the_manifest() -> None:
    rows, probabilities = predictions_of_trainings(3, 1)
    test = predictions_in(rows, probabilities, UNSORTED, "val")
    manifest = rows.loc[rows["fold"] == 1, "id"].tolist()
    assert [manifest[place] for place in test.rows["place"]] == test.rows["id"].tolist()


def test_a_calibration_error_has_that_of_a_calibrated_model_beside_it() -> None:
    scores = evaluated(*predictions()).scores
    assert 0 < scores["expected_calibration_error_if_calibrated"] < 1


def test_repeats_give_mean_and_standard_deviation() -> None:
    rows, probabilities = predictions_of_trainings(3, 3)
    scores = evaluated(rows, probabilities).scores
    each = [
        all_metrics(tested.labels, tested.probabilities, UNSORTED)["macro_f1"]
        for tested in (predictions_in(rows, probabilities, UNSORTED, "test", repeat) for repeat in (1, 2, 3))
    ]
    assert scores["repeats"] == 3
    assert scores["macro_f1"] == pytest.approx(np.mean(each))
    assert scores["macro_f1_low"] <= scores["macro_f1"] <= scores["macro_f1_high"]
    assert scores["macro_f1_sd"] == pytest.approx(np.std(each, ddof=1)) and np.std(each) > 0
    assert not [name for name in evaluated(*predictions_of_trainings(3, 1)).scores if name.endswith("_sd")]


def test_seeds_of_differing_quality_widen_the_interval() -> None:
    rows, probabilities = predictions_of_trainings(6, 5)
    truth = one_hot([UNSORTED.index(label) for label in rows["label"]], 3)
    quality = np.array([0.6, 0.2, 0.4, 0.8, 1])[rows["repeat"] - 1][:, None]
    probabilities = (1 - quality) * probabilities[:, [1, 2, 0]] + quality * truth
    first = (rows["repeat"] == 1).to_numpy()
    alone = evaluated(rows[first].reset_index(drop=True), probabilities[first]).scores
    together = evaluated(rows, probabilities).scores
    for score in ("balanced_accuracy", "log_loss"):
        widths = [scores[f"{score}_high"] - scores[f"{score}_low"] for scores in (alone, together)]
        assert widths[1] > 1.2 * widths[0]


def test_validation_scores_are_means_over_repeats() -> None:
    rows, probabilities = predictions_of_trainings(3, 3)
    each = [
        all_metrics(val.labels, val.probabilities, UNSORTED)["balanced_accuracy"]
        for val in (predictions_in(rows, probabilities, UNSORTED, "val", repeat) for repeat in (1, 2, 3))
    ]
    assert evaluated(rows, probabilities).scores["val_balanced_accuracy"] == pytest.approx(np.mean(each))


def test_drawn_repeats_have_the_variance_of_their_mean() -> None:
    draws, values = draw(np.arange(9), 20_000, 7), np.array([0.2, 0.5, 0.6, 0.9])
    drawn = draws.resampled(repeat_weights(draws, 4, 1) @ values)
    assert drawn.std() == pytest.approx(values.std(ddof=1) / 2, rel=0.02)
    assert (repeat_weights(draws, 1, 1) == 1).all()


def test_every_training_has_a_score() -> None:
    rows, probabilities = predictions_of_trainings(3, 2)
    found = scores_of_trainings(rows, probabilities, UNSORTED)
    assert list(found.index) == [(repeat, fold) for repeat in (1, 2) for fold in (1, 2, 3)]
    mine = ((rows["repeat"] == 2) & (rows["fold"] == 3) & (rows["split"] == "test")).to_numpy()
    labels = np.array([UNSORTED.index(label) for label in rows.loc[mine, "label"]])
    assert found[(2, 3)] == pytest.approx(balanced_accuracy(labels, probabilities[mine].argmax(axis=1), 3))


def test_baseline_predicts_the_most_frequent_class_of_each_folds_training() -> None:
    rows, probabilities = predictions_of_trainings(3, 1)
    rows.loc[rows["split"] == "train", "label"] = rows["fold"].map({1: "normal", 2: "osteopenia", 3: "osteopenia"})
    scores = evaluated(rows, probabilities).scores
    test = rows[rows["split"] == "test"]
    right = test["label"] == test["fold"].map({1: "normal", 2: "osteopenia", 3: "osteopenia"})
    assert scores["baseline_accuracy"] == pytest.approx(right.mean())
    assert scores["baseline_balanced_accuracy"] == pytest.approx(right.groupby(test["label"]).mean().mean())


def test_ordered_classes_have_grade_scores() -> None:
    rows, probabilities = predictions_of_trainings(3, 1)
    plain, ordered = (evaluated(rows, probabilities, ordered).scores for ordered in (False, True))
    assert set(ordered) - set(plain) == {
        f"{name}{end}"
        for name in ("quadratic_weighted_kappa", "mean_absolute_grade_error")
        for end in ("", "_low", "_high")
    }
