"""Confounders: a planted shortcut is found and stated, and an innocent column is not."""

import json
import runpy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import REPOSITORY
from recorded import CLASSES, MODEL, Recorded, recorded
from studies import SHAPES, write_study

from bonexray.aggregate.frozen_features import frozen_features, standardised
from bonexray.base.errors import BonexrayError
from bonexray.base.files import read_json, write_json
from bonexray.data.paths import EVALUATED, MODEL_CARD
from bonexray.dataset.settings import Dataset
from bonexray.evaluate.bootstrap import draw
from bonexray.evaluate.settings import Evaluate
from bonexray.report.confounders import confounder_warnings
from bonexray.report.contents import report_page
from bonexray.report.data import read_study
from bonexray.report.provenance import Provenance
from bonexray.subgroups.matching import effective_images, matched

STAGE = runpy.run_path(str(REPOSITORY / "stages/subgroups.py"))
Found = dict[str, dict]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Found]:
    """Return a function that writes a study, asks for its confounders, and returns them by column."""
    monkeypatch.chdir(tmp_path)

    def stage(study: Recorded, *columns: str) -> Found:
        study.write()
        options = Dataset(name="x", root="r", inputs=["r"], columns=list(columns), classes=CLASSES, ordered=True)
        STAGE["main"](STAGE["Settings"](evaluate=Evaluate(resamples=300), dataset=options))
        return json.loads(Path("metrics/confounders.json").read_text())["columns"]

    return stage


def with_scanner(share: float) -> tuple[Recorded, np.ndarray]:
    """Return a study whose normal patients are on DX 1 with this chance, and all others on DX 2; and who is on DX 2."""
    study, rng = recorded(500), np.random.default_rng(8)
    patient = pd.factorize(study.manifest["group"])[0]
    own = rng.random(500)[patient] < share
    second = np.where(study.labels == 0, ~own, own)
    study.record["scanner"] = np.where(second, "DX 2", "DX 1")
    return study, second


def shortcut(share: float = 0.85) -> Recorded:
    """Return a study whose features show the scanner and whose model answers by it."""
    study, second = with_scanner(share)
    rng = np.random.default_rng(9)
    study.features = np.concatenate([second[:, None] * 3.0, rng.normal(0, 1, (len(second), 10))], axis=1)
    study.features += rng.normal(0, 1, study.features.shape)
    answer = np.where(second, rng.integers(1, 3, len(second)), 0)
    study.logits = rng.normal(0, 0.3, (len(second), 3)) + 2 * np.eye(3)[answer]
    return study


def test_a_planted_shortcut_is_found(run: Callable[..., Found]) -> None:
    found = run(shortcut(), "scanner", "sex")
    scanner, sex = found["scanner"], found["sex"]
    assert scanner["named"] == 1 and sex["named"] == 0
    assert scanner["told_matched_auc_low"] > 0.8 and scanner["association_p"] < 0.01 and scanner["alone"] > 0.5
    assert scanner["fall_high"] < 0 and scanner["matched_score"] < scanner["score"] - 0.1
    assert 30 < scanner["effective_n"] < 300
    assert abs(sex["fall"]) < 0.05 and sex["association_p"] > 0.05


def test_a_column_that_the_features_tell_through_the_class_alone_is_not_named(run: Callable[..., Found]) -> None:
    study, _ = with_scanner(0.85)
    study.answer(np.random.default_rng(2).random(len(study.labels)) < 0.8)
    found = run(study, "scanner")["scanner"]
    assert found["told_auc_low"] > 0.5 and found["association_p"] < 0.01  # so it would seem
    assert found["told_matched_auc_low"] < 0.6 and found["named"] == 0


def test_a_column_that_a_sound_model_does_not_use_is_not_named(run: Callable[..., Found]) -> None:
    study = shortcut()
    study.answer(np.random.default_rng(2).random(len(study.labels)) < 0.8)
    found = run(study, "scanner")["scanner"]
    assert found["told_matched_auc_low"] > 0.8 and found["named"] == 0


def test_a_column_that_is_the_class_cannot_be_told_from_it(run: Callable[..., Found]) -> None:
    found = run(shortcut(share=1.0), "scanner")["scanner"]
    assert (found["named"], found["inseparable"]) == (0, 1) and "matched_score" not in found
    assert found["effective_n"] == 0


def test_without_a_frozen_network_no_features_are_asked(run: Callable[..., Found], monkeypatch) -> None:
    study = recorded()
    write = study.write

    def scratch() -> None:
        write()
        write_json(EVALUATED / MODEL / MODEL_CARD, {**read_json(EVALUATED / MODEL / MODEL_CARD), "mode": "scratch"})

    monkeypatch.setattr(study, "write", scratch)
    assert run(study, "sex") == {}
    assert json.loads(Path("metrics/confounders.json").read_text())["features_of"] is None


@pytest.mark.parametrize("change", ["other", "missing"])
def test_features_of_another_study_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    monkeypatch.chdir(tmp_path)
    recorded().write()
    scores = read_json("metrics/models.json")
    file = Path(f"data/features/{MODEL}/features.npy")
    assert frozen_features(scores)[0] == MODEL
    if change == "missing":
        file.unlink()
    else:
        np.save(file, np.zeros((3, 3), np.float32))
    with pytest.raises(BonexrayError, match=f"features@{MODEL}"):
        frozen_features(scores)


# Matching


def test_matched_classes_have_the_same_shares_of_the_column_in_every_draw() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 200)
    codes = (rng.random(200) < np.array([0.9, 0.5, 0.2])[labels]).astype(int)
    draws = draw(np.arange(200), 50, seed=1)
    weights = matched(draws, labels, codes).weights
    assert (weights >= 0).all() and (weights <= draws.weights).all()
    for row in weights:
        shares = [row[(labels == c) & (codes == 1)].sum() / row[labels == c].sum() for c in range(3)]
        assert shares == pytest.approx([shares[0]] * 3)
    assert 0 < effective_images(weights[0]) < 200
    assert effective_images(np.ones(7)) == pytest.approx(7) and effective_images(np.zeros(7)) == 0


def test_a_column_apart_from_the_class_keeps_every_image() -> None:
    labels, codes = np.repeat([0, 1], 10), np.tile([0, 1], 10)
    weights = matched(draw(np.arange(20), 10, seed=1), labels, codes).weights
    assert (weights[0] == 1).all()


def test_features_are_standardised_by_training() -> None:
    features = np.random.default_rng(0).normal([5, 0, 0], [2, 1e-9, 1], (50, 3))
    train = np.arange(50) < 30
    scaled = standardised(features, train)
    assert scaled[train].mean(axis=0) == pytest.approx([0, 0, 0], abs=1e-6)
    assert scaled[train, 0].std() == pytest.approx(1) and np.abs(scaled[:, 1]).max() < 1e-6


# The page


@pytest.mark.parametrize(
    ("shape", "named"), [("three networks", False), ("a record", False), ("an unequal record", True)]
)
def test_the_page_warns_of_a_confounder(tmp_path: Path, shape: str, named: bool) -> None:
    study = read_study(write_study(tmp_path, SHAPES[shape]), tmp_path)
    page = report_page(study, Provenance({}, ()))
    words = (
        "The site may explain the scores: it is associated with the class in training and alone reaches a balanced "
        "accuracy of 0.600"
    )
    assert (words in page) == named == bool(confounder_warnings(study))
    assert ('id="table-confounders"' in page) == (shape != "three networks")


def test_the_page_warns_of_a_column_that_is_the_class(tmp_path: Path) -> None:
    study = read_study(write_study(tmp_path, SHAPES["a record"]), tmp_path)
    site = {**study.confounders["site"], "effective_n": 0.0, "inseparable": 1}
    (warning,) = confounder_warnings(replace(study, confounders={"site": site}))
    assert warning.startswith("The site and the class cannot be told apart") and "effective n = 0" in warning
