"""The learning curve: shares of the training patients, planted cohorts, and the study's own score at its end."""

import itertools
import re
import runpy
import shutil
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pandas as pd
import pytest
from cohorts import AUGMENT, lay_out_features, lay_out_images, row_of, with_settings
from hypothesis import given
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from bonexray.base.errors import BonexrayError
from bonexray.base.files import read_json
from bonexray.data.manifest import read_manifest
from bonexray.data.paths import EVALUATED, LEARNING_CURVE, MANIFEST, MODEL_CARD, PREDICTIONS, model_folder
from bonexray.data.predictions import first_training, read_predictions
from bonexray.evaluate.evaluation import evaluate
from bonexray.evaluate.settings import Evaluate
from bonexray.learning_curve.curve import Task, answers_of, curve_of, require_same_score, subsets_of
from bonexray.learning_curve.learners import Learner, names_of_learners
from bonexray.learning_curve.settings import LearningCurve
from bonexray.learning_curve.subsets import nested_subsets
from bonexray.registry import BASELINE, FROZEN
from bonexray.study import load_settings
from bonexray.train.baseline import train_baseline
from bonexray.train.linear import train_linear_head
from bonexray.train.settings import ModelRow

ROOT = Path(__file__).resolve().parents[1]
SHARES = [0.125, 0.25, 0.5, 1.0]
CLASSES = ["healthy", "ill"]
HEAD = {"mode": FROZEN, "backbones": {"vgg16": ""}, "classes": CLASSES}
HEAD |= {"train": {"head": "linear", "standardize": True, "output": "softmax", "class_weights": "none"}}
NETWORK, CONTROL = "efficientnet_lite0", "efficientnet_lite0_random"


# Shares of the patients


@given(
    labels=st.lists(st.integers(0, 3), min_size=1, max_size=60),
    images=st.integers(1, 3),
    seed=st.integers(0, 9),
)
def test_shares_are_nested_stratified_and_never_split_a_patient(labels: list[int], images: int, seed: int) -> None:
    groups, of_images = np.repeat(np.arange(len(labels)), images), np.repeat(labels, images)
    order = np.random.default_rng(seed).permutation(len(groups))
    groups, of_images = groups[order], of_images[order]
    subsets = nested_subsets(groups, of_images, SHARES, np.random.default_rng(seed))
    for smaller, larger in itertools.pairwise(subsets):
        assert set(smaller) <= set(larger)
    for share, subset in zip(SHARES, subsets, strict=True):
        patients = np.unique(groups[subset])
        assert len(subset) == images * len(patients)
        for label in set(labels):
            drawn = sum(labels[patient] == label for patient in patients)
            assert drawn == max(1, np.rint(share * labels.count(label)))
    assert len(subsets[-1]) == len(groups)


def test_another_seed_draws_other_patients() -> None:
    groups = np.arange(40)
    one, same, other = (
        nested_subsets(groups, groups % 2, [0.25], np.random.default_rng(seed))[0] for seed in (1, 1, 2)
    )
    assert list(one) == list(same) != list(other)


# Planted cohorts


def task_of(patients: int, draws: int = 3, seed: int = 7) -> tuple[Task, np.ndarray]:
    """Return two images of each patient, half for training, and the class of each image."""
    numbers = np.arange(2 * patients) // 2
    rows = pd.DataFrame(
        {
            "repeat": 1,
            "fold": 1,
            "id": [str(number) for number in range(2 * patients)],
            "path": "",
            "group": [f"p{number}" for number in numbers],
            "split": np.array(["train", "train", "val", "test"])[numbers // 2 % 4],
            "label": np.array(CLASSES)[numbers % 2],
        }
    )
    settings, options = LearningCurve(draws=draws, seed=seed), Evaluate(resamples=300)
    return Task(rows, CLASSES, "train", settings, options), numbers % 2


def learner_of(labels: np.ndarray, width: int, gap: float, seed: int = 7) -> Learner:
    """Return features of which each is shifted by the gap between the classes."""
    noise = np.random.default_rng(seed).standard_normal((len(labels), width))
    return Learner("vgg16", HEAD, noise + gap * labels[:, None])


@pytest.mark.parametrize(("width", "gap", "rising"), [(1000, 0.12, True), (1, 1.5, False)])
def test_more_patients_help_where_many_faint_features_must_be_learnt_and_not_where_one_tells_all(
    width: int, gap: float, rising: bool
) -> None:
    task, labels = task_of(800)
    curve, fits = curve_of(learner_of(labels, width, gap), task)
    assert list(curve["share"]) == SHARES
    assert list(curve["patients"]) == [50, 100, 200, 400]
    assert list(curve["draws"]) == [3, 3, 3, 1] and len(fits) == 10
    assert (curve["gain_low"].iloc[0] > 0) == (curve["gain_low"].iloc[2] > 0) == rising
    assert curve["gain"].iloc[2] == pytest.approx(
        curve["balanced_accuracy"].iloc[3] - curve["balanced_accuracy"].iloc[2]
    )
    assert curve["gain"].iloc[3:].isna().all()
    for score in ("balanced_accuracy", "log_loss"):
        assert (curve[f"{score}_low"] <= curve[score]).all() and (curve[score] <= curve[f"{score}_high"]).all()
        means = fits.groupby("share")[score].mean()
        assert list(curve[score]) == pytest.approx(list(means))


def test_no_label_of_a_test_image_reaches_a_fit() -> None:
    task, labels = task_of(80)
    learner = learner_of(labels, 5, 0.5)
    test = task.rows["split"] == "test"
    corrupted = replace(task, rows=task.rows.assign(label=task.rows["label"].where(~test, "healthy")))
    for one, other in zip(answers_of(learner, task), answers_of(learner, corrupted), strict=True):
        assert np.array_equal(one, other)
    val = task.rows["split"] == "val"
    changed = replace(task, rows=task.rows.assign(label=task.rows["label"].where(~val, "healthy")))
    pairs = zip(answers_of(learner, task), answers_of(learner, changed), strict=True)
    assert not all(np.array_equal(one, other) for one, other in pairs), "validation chooses the penalty"


def test_every_fit_learns_from_training_images_alone() -> None:
    task, _ = task_of(64)
    for share, chosen in subsets_of(task):
        assert (task.rows["split"].to_numpy()[chosen] == "train").all()
        assert len(chosen) == 2 * share * 32


def test_602_images_of_2048_features_take_a_few_seconds() -> None:
    task, labels = task_of(301, draws=5)
    task = replace(task, evaluate=Evaluate())
    start = time.process_time()
    curve_of(learner_of(labels, 2048, 0.05), task)
    assert time.process_time() - start < 5


# The choice of models


@pytest.mark.parametrize(
    ("cards", "chosen"),
    [
        ({"vgg16": ("vgg16",), NETWORK: (NETWORK,), CONTROL: (CONTROL,)}, [NETWORK, CONTROL, "texture"]),
        ({"vgg16": ("vgg16",), NETWORK: (NETWORK,)}, [NETWORK, "texture"]),
        ({CONTROL: (CONTROL,), "vgg16": ("vgg16",)}, [CONTROL, "texture"]),
        ({"vgg16_vgg19": ("vgg16", "vgg19"), "compact_cnn": ()}, ["texture"]),
    ],
)
def test_the_best_head_on_validation_its_control_and_the_texture_baseline_are_drawn(
    cards: dict[str, tuple[str, ...]], chosen: list[str]
) -> None:
    scores = {NETWORK: 0.9, CONTROL: 0.5, "vgg16": 0.4, "vgg16_vgg19": 0.95, "compact_cnn": 0.99}

    def val(name: str) -> Mock:
        own = Mock(probabilities=np.eye(2))
        return Mock(own=own, scores=lambda: {"balanced_accuracy": scores[name], "log_loss": 1.0})

    described = {name: {**HEAD, "backbones": dict.fromkeys(backbones, "")} for name, backbones in cards.items()}
    assert names_of_learners(described, {name: val(name) for name in cards}) == chosen


@pytest.mark.parametrize("change", [{"mode": "fine_tune"}, {"train": {**HEAD["train"], "head": "standard"}}])
def test_only_linear_heads_on_a_frozen_backbone_are_trained_again(change: dict) -> None:
    assert names_of_learners({"vgg16": {**HEAD, **change}}, {}) == ["texture"]


# The stage


@pytest.fixture(params=["", "folds", "sigmoid"])
def study(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study of a network, its control and the texture baseline, as evaluated; with folds, without the control."""
    monkeypatch.chdir(tmp_path)
    classes = ["a", "b"] if request.param == "sigmoid" else ["a", "b", "c"]
    lay_out_images(32, 96, classes)
    manifest, images = read_manifest(), np.arange(96)
    if request.param == "folds":
        manifest["fold"] = (1 + images // 6 % 3).astype(str)
    manifest["group"] = [f"p{number // 6}-{number % len(classes)}" for number in images]
    manifest["split"] = np.array(["train", "val", "train", "test"])[images // 6 % 4]
    few = (images % len(classes) == 1) & (images // 6 % 4 == 0)  # so that classes are of unequal size in training
    manifest.loc[few, "label"] = "a"
    manifest.to_csv(MANIFEST, index=False)
    options = with_settings(head="linear", output="sigmoid" if request.param == "sigmoid" else "softmax")
    names = [NETWORK] if request.param == "folds" else [NETWORK, CONTROL]
    with threadpool_limits(1):
        for name in names:
            lay_out_features(name)
            train_linear_head(name, row_of(name, FROZEN), options, AUGMENT, unrecorded)
    inputs = [str(ROOT / "src/bonexray/descriptors/texture.py")]
    train_baseline("texture", ModelRow(mode=BASELINE, inputs=inputs), options, unrecorded)
    for name in [*names, "texture"]:
        (EVALUATED / name).mkdir(parents=True)
        for file in (MODEL_CARD, PREDICTIONS):
            shutil.copy(model_folder(name) / file, EVALUATED / name / file)
    return tmp_path


def unrecorded(*_: object) -> nullcontext:
    """Record a training nowhere."""
    return nullcontext(Mock())


@pytest.mark.parametrize("unit", ["image", "patient"])
def test_the_curve_ends_at_the_studys_own_scores(study: Path, unit: str) -> None:
    settings = load_settings(ROOT / "params.yaml")
    settings = settings.model_copy(update={"evaluate": settings.evaluate.model_copy(update={"unit": unit})})
    classes = read_json("data/split/classes.json")["classes"]
    runpy.run_path(str(ROOT / "stages/learning_curve.py"))["main"](settings)
    table = pd.read_csv(LEARNING_CURVE)
    assert set(table["model"]) >= {NETWORK, "texture"} or set(table["model"]) == {CONTROL, "texture"}
    assert (study / "reports/learning_curve/learning_curve.png").stat().st_size > 5000
    for name, curve in table.groupby("model"):
        rows, own = first_training(*read_predictions(EVALUATED / name / PREDICTIONS, classes))
        scores = evaluate(rows, own, classes, settings.evaluate, False, "uniform").scores
        for score in ("balanced_accuracy", "balanced_accuracy_low", "balanced_accuracy_high", "log_loss"):
            assert curve[score].iloc[-1] == pytest.approx(scores[score], abs=2e-3), (name, score)


def test_a_model_of_other_data_is_refused() -> None:
    task, labels = task_of(80)
    curve, _ = curve_of(learner_of(labels, 5, 1.0), task)
    whole = answers_of(learner_of(labels, 5, 1.0), task)[-1]
    require_same_score("vgg16", curve, task.judged(whole, "test"))
    with pytest.raises(BonexrayError, match=re.escape("learning curve of vgg16: expected the balanced accuracy of")):
        require_same_score("vgg16", curve, task.judged(whole[:, ::-1], "test"))
