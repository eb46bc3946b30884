"""Probabilities answer to the prior of training or to a stated prevalence; decisions stay those of the model."""

import runpy
import shutil
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import REPOSITORY
from sklearn.linear_model import LogisticRegression
from trained_study import FROZEN
from trainings import UNSORTED, predictions_of_trainings

from bonexray.aggregate.ensembles import learned_by
from bonexray.aggregate.panel import Panel, ensemble
from bonexray.base.errors import BonexrayError
from bonexray.data.manifest import read_classes, read_manifest
from bonexray.data.paths import EVALUATED, PREDICTIONS, model_folder
from bonexray.data.predictions import read_predictions
from bonexray.evaluate.calibration import fit_temperature
from bonexray.evaluate.evaluation import evaluate
from bonexray.evaluate.metrics import all_metrics
from bonexray.evaluate.prior import corrected, learned_prior, no_skill_log_loss
from bonexray.evaluate.settings import Evaluate
from bonexray.evaluate.split_predictions import predictions_in
from bonexray.study import load_settings

CLASSES = ["whole", "fractured"]
SHARE = 0.1  # of fractured images
SETTINGS = Evaluate(resamples=100)
OF_PROBABILITIES = ("log_loss", "brier")


def rare_class(weights: str | None, seed: int = 7) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the predictions of a logistic regression, with or without class weights, where one class is rare."""
    rng, images = np.random.default_rng(seed), 12_000
    labels = (rng.random(images) < SHARE).astype(int)
    features = rng.normal(labels[:, None] * 1.2, 1, (images, 2))
    split = np.repeat(["train", "val", "test"], images // 3)
    learner = LogisticRegression(class_weight=weights, C=1e6).fit(features[split == "train"], labels[split == "train"])
    ids = [f"{number:016x}" for number in range(images)]
    rows = pd.DataFrame({"repeat": 1, "fold": 1, "id": ids, "path": ids, "group": ids, "split": split})
    return rows.assign(label=np.array(CLASSES)[labels]), learner.predict_proba(features)


@pytest.fixture(scope="module")
def weighted() -> tuple[pd.DataFrame, np.ndarray]:
    return rare_class("balanced")


def test_the_log_loss_of_a_weighted_fit_is_that_of_an_unweighted_one(weighted: tuple) -> None:
    shifted, right = (evaluate(*weighted, CLASSES, SETTINGS, False, learned).scores for learned in ("train", "uniform"))
    plain = evaluate(*rare_class(None), CLASSES, SETTINGS, False, "train").scores
    assert shifted["log_loss"] > 1.5 * plain["log_loss"]
    for name in (*OF_PROBABILITIES, "val_log_loss", "calibrated_log_loss"):
        assert right[name] == pytest.approx(plain[name], abs=0.01)
    assert right["log_loss_low"] < plain["log_loss"] < right["log_loss_high"]
    assert right["temperature"] == pytest.approx(plain["temperature"], abs=0.1)
    rows, probabilities = weighted
    val = predictions_in(rows, corrected(rows, probabilities, CLASSES, "uniform"), CLASSES, "val")
    assert right["temperature"] == fit_temperature(val.labels, val.probabilities) != shifted["temperature"]


def test_decisions_and_rankings_are_those_of_the_model(weighted: tuple) -> None:
    own, right = (evaluate(*weighted, CLASSES, SETTINGS, False, learned) for learned in ("train", "uniform"))
    changed = {name for name, value in own.scores.items() if right.scores[name] != value}
    stems = {name.removeprefix("val_").removeprefix("calibrated_") for name in changed}
    allowed = {f"{name}{end}" for name in OF_PROBABILITIES for end in ("", "_low", "_high")} | {
        "temperature",
        "classes",
    }
    assert stems <= allowed | {"expected_calibration_error", "expected_calibration_error_if_calibrated"}
    for label in CLASSES:
        one, other = (evaluation.scores["classes"][label] for evaluation in (own, right))
        changed = {name for name in one if one[name] != other[name]}
        assert changed == {"calibration_intercept", "calibration_slope"} or changed == {"calibration_intercept"}
    assert own.scores["confusion"] == right.scores["confusion"]
    assert (right.test.probabilities == own.test.probabilities).all()
    assert (right.corrected.probabilities.argmax(axis=1) != right.test.probabilities.argmax(axis=1)).any()


def test_without_class_weights_nothing_changes() -> None:
    rows, probabilities = predictions_of_trainings(3, 2)
    assert corrected(rows, probabilities, UNSORTED, "train") is probabilities
    scores = evaluate(rows, probabilities, UNSORTED, SETTINGS, False, "train").scores
    each = []
    for repeat in (1, 2):
        test = ((rows["split"] == "test") & (rows["repeat"] == repeat)).to_numpy()
        labels = np.array([UNSORTED.index(label) for label in rows.loc[test, "label"]])
        each.append(all_metrics(labels, probabilities[test], UNSORTED))
    for name in OF_PROBABILITIES:
        assert scores[name] == pytest.approx(np.mean([direct[name] for direct in each]))


@pytest.mark.parametrize("learned", ["uniform", "val"])
def test_each_fold_is_corrected_by_its_own_shares(learned: str) -> None:
    rows, probabilities = predictions_of_trainings(3, 1)
    rows.loc[(rows["fold"] == 2) & (rows["split"] != "test") & (rows.index % 4 == 0), "label"] = "normal"
    values = corrected(rows, probabilities, UNSORTED, learned)
    for fold, block in rows.groupby("fold"):
        train, val = (
            np.array([(block.loc[block["split"] == split, "label"] == name).mean() for name in UNSORTED])
            for split in ("train", "val")
        )
        odds = probabilities[block.index] * train / (val if learned == "val" else 1 / 3)
        assert values[block.index] == pytest.approx(odds / odds.sum(axis=1, keepdims=True)), fold


def test_a_stated_prevalence_replaces_the_shares_of_training(weighted: tuple) -> None:
    rows, probabilities = weighted
    half = corrected(rows, probabilities, CLASSES, "uniform", {"whole": 0.5, "fractured": 0.5})
    assert half == pytest.approx(probabilities, abs=1e-12)
    twice = corrected(
        rows, corrected(rows, probabilities, CLASSES, "uniform"), CLASSES, "train", dict.fromkeys(CLASSES, 0.5)
    )
    assert twice == pytest.approx(probabilities, abs=1e-9)


def test_a_class_without_training_images_stays_possible() -> None:
    rows, probabilities = predictions_of_trainings(3, 1)
    rows.loc[(rows["split"] == "train") & (rows["label"] == "normal"), "label"] = "osteopenia"
    values = corrected(rows, probabilities, UNSORTED, "uniform")
    assert values.sum(axis=1) == pytest.approx(1) and (values[:, 1] > 0).all()


def test_the_log_loss_without_skill_is_that_of_the_shares_of_training() -> None:
    rows, probabilities = predictions_of_trainings(3, 1)
    rows.loc[(rows["fold"] == 2) & (rows["split"] == "train"), "label"] = ["normal"] * 6 + ["osteopenia"] * 6
    test = rows[rows["split"] == "test"]
    losses = []
    for fold, block in rows.groupby("fold"):
        shares = block.loc[block["split"] == "train", "label"].value_counts(normalize=True)
        answers = shares.reindex(test.loc[test["fold"] == fold, "label"]).fillna(np.finfo(float).eps)
        losses += list(-np.log(answers))
    scores = evaluate(rows, probabilities, UNSORTED, SETTINGS, False, "train").scores
    assert scores["no_skill_log_loss"] == pytest.approx(np.mean(losses))
    assert no_skill_log_loss(rows, test, UNSORTED, dict.fromkeys(UNSORTED, 1 / 3)) == pytest.approx(np.log(3))


@pytest.mark.parametrize("kind", ["mean", "weighted", "stacking"])
def test_an_ensemble_of_weighted_models_is_corrected_once(kind: str, weighted: tuple) -> None:
    rows, probabilities = weighted
    panel = Panel(rows, {"one": probabilities, "other": rare_class("balanced")[1]})
    plain = evaluate(*rare_class(None), CLASSES, SETTINGS, False, "train").scores["log_loss"]
    answers, _ = ensemble(kind, panel, CLASSES)
    learned = learned_by(kind, "uniform")
    assert evaluate(rows, answers, CLASSES, SETTINGS, False, learned).scores["log_loss"] == pytest.approx(
        plain, abs=0.01
    )


def test_models_with_and_without_class_weights_do_not_mix() -> None:
    cards = {name: {"train": {"class_weights": name}} for name in ("balanced", "none")}
    assert [learned_prior({name: card}) for name, card in cards.items()] == ["uniform", "train"]
    with pytest.raises(BonexrayError, match="the same for all models"):
        learned_prior(cards)


def test_the_stages_know_the_prior_that_the_models_learned(trained_study: Path, tmp_path: Path) -> None:
    with chdir(shutil.copytree(trained_study, tmp_path / "study")):
        settings, classes = load_settings(), read_classes()
        rows, own = read_predictions(model_folder(FROZEN) / PREDICTIONS, classes)
        right, wrong = (evaluate(rows, own, classes, settings.evaluate, False, kind) for kind in ("uniform", "train"))
        assert right.scores["log_loss"] != pytest.approx(wrong.scores["log_loss"])
        EVALUATED.mkdir()
        scores = stage("evaluate")["evaluate_model"](FROZEN, settings, tmp_path / "figures", EVALUATED / FROZEN)
        assert scores["log_loss"] == pytest.approx(right.scores["log_loss"])
        images = read_manifest()[["id", "path", "label", "group"]]
        answers = {FROZEN: np.full((len(images), len(classes)), 1 / len(classes))}
        outside = stage("external_scores")["score_models"](images, answers, classes, settings, 0.3)[FROZEN]
        assert outside["internal_log_loss"] == pytest.approx(right.scores["log_loss"])


def stage(name: str) -> dict[str, Callable]:
    return runpy.run_path(str(REPOSITORY / f"stages/{name}.py"))
