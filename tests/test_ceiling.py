"""The ceiling of a simulated cohort: a logistic regression on its truth, against scikit-learn by hand."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from trainings import UNSORTED, predictions_of_trainings

from bonexray.aggregate.ceiling import CEILING, ceiling_predictions, ceiling_scores, read_truth
from bonexray.base.errors import BonexrayError
from bonexray.evaluate.settings import Evaluate

ROOT = Path(__file__).parents[1]
DVC_YAML = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]
BONE = {"normal": (0.26, 2.8), "osteopenia": (0.20, 2.3), "osteoporosis": (0.14, 1.7)}
SEES_TRUTH = {"phantom", "split", "denoise", "external", "aggregate"}


def rows_of(folds: int = 3, repeats: int = 1) -> pd.DataFrame:
    return predictions_of_trainings(folds, repeats)[0]


def truth_of(rows: pd.DataFrame, spread: float = 0.8) -> pd.DataFrame:
    """Return a truth in which the bone of neighbouring classes overlaps, the same for both images of a patient."""
    rng, patients = np.random.default_rng(7), rows.drop_duplicates("group")
    bone = np.array([BONE[label] for label in patients["label"]])
    bone += spread * rng.normal(size=bone.shape) * (0.06, 0.5)
    values = dict(zip(patients["group"], bone, strict=True))
    images = rows.drop_duplicates("path").sample(frac=1, random_state=7)  # in another order than the rows
    measures = np.array([values[group] for group in images["group"]])
    table = {"volume_fraction": measures[:, 0], "cortical_mm": measures[:, 1], "t_score": rng.normal(size=len(images))}
    return pd.DataFrame(table, index=pd.Index(images["path"], name="path"))


def by_hand(rows: pd.DataFrame, truth: pd.DataFrame) -> float:
    """Return the balanced accuracy over the test images of all folds of a fit with hardly any penalty."""
    labels, predicted = [], []
    for _, block in rows.groupby("fold"):
        train, test = (block[block["split"] == split] for split in ("train", "test"))
        values = [truth.loc[part["path"], ["volume_fraction", "cortical_mm"]].to_numpy() for part in (train, test)]
        scaled = [(part - values[0].mean(axis=0)) / values[0].std(axis=0) for part in values]
        model = LogisticRegression(C=1e6, class_weight="balanced", max_iter=1000)
        predicted += list(model.fit(scaled[0], train["label"]).predict(scaled[1]))
        labels += list(test["label"])
    return balanced_accuracy_score(labels, predicted)


@pytest.mark.parametrize(("folds", "spread"), [(3, 0.6), (3, 1.0), (5, 0.8)])
def test_the_ceiling_is_that_of_scikit_learn(folds: int, spread: float) -> None:
    rows = rows_of(folds)
    truth = truth_of(rows, spread)
    scores = ceiling_scores(rows, truth, UNSORTED, Evaluate(resamples=200))
    assert scores[CEILING] == pytest.approx(by_hand(rows, truth))
    assert 0.4 < scores[CEILING] < 1 and scores[f"{CEILING}_low"] < scores[CEILING] < scores[f"{CEILING}_high"]
    assert list(scores) == [CEILING, f"{CEILING}_low", f"{CEILING}_high"]


@pytest.mark.parametrize("unit", ["image", "patient"])
def test_repeats_and_units_do_not_change_a_ceiling_of_patients(unit: str) -> None:
    # All images of a patient have one truth, and each patient has two.
    one, three = (rows_of(3, repeats) for repeats in (1, 3))
    truth = truth_of(one)
    scores = [ceiling_scores(rows, truth, UNSORTED, Evaluate(resamples=100, unit=unit)) for rows in (one, three)]
    assert scores[0][CEILING] == pytest.approx(scores[1][CEILING]) == pytest.approx(by_hand(one, truth))


@pytest.mark.parametrize(("split", "same"), [("train", False), ("val", True), ("test", True)])
def test_the_ceiling_is_fitted_on_training_images_only(split: str, same: bool) -> None:
    rows = rows_of()
    truth, own = truth_of(rows), rows["split"] == split
    relabelled = rows.assign(label=rows["label"].mask(own & (rows["label"] == "normal"), "osteoporosis"))
    before, after = (ceiling_predictions(given, truth, UNSORTED) for given in (rows, relabelled))
    assert before.sum(axis=1) == pytest.approx(1)
    assert (before == after).all() == same


def test_the_t_score_is_no_part_of_the_ceiling() -> None:
    rows = rows_of()
    truth = truth_of(rows)
    known = truth.assign(t_score=[UNSORTED.index(label) for label in rows.drop_duplicates("path")["label"]])
    assert (ceiling_predictions(rows, truth, UNSORTED) == ceiling_predictions(rows, known, UNSORTED)).all()


def test_a_class_without_training_images_is_never_predicted() -> None:
    rows = rows_of()
    rows = rows[~((rows["split"] == "train") & (rows["label"] == "normal"))].reset_index(drop=True)
    found = ceiling_predictions(rows, truth_of(rows_of()), UNSORTED)
    assert not found[:, UNSORTED.index("normal")].any() and found.sum(axis=1) == pytest.approx(1)


def test_a_cohort_without_truth_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BonexrayError, match=r"truth\.csv: expected the true values .* received no such file"):
        read_truth(tmp_path)


def test_no_stage_that_trains_or_predicts_reads_the_truth() -> None:
    cohort = {"${dataset.inputs[0]}", "${dataset.inputs[-1]}"}
    readers = {name for name, stage in DVC_YAML.items() if cohort & set(stage.get("do", stage)["deps"])}
    assert readers | {"phantom"} == SEES_TRUTH
    phantom = YAML(typ="safe").load(ROOT / "conf/dataset/phantom.yaml")["dataset"]
    assert phantom["root"] == f"{phantom['simulated']['cohort']}/noisy"  # truth.csv lies beside it, not in it
