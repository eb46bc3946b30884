"""The baselines: their numbers, their regression, and what a comparison says of networks that do not beat them."""

import subprocess
import sys
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from cohorts import CLASSES, lay_out_images, with_settings
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bonexray.aggregate.comparison import differences_from
from bonexray.base.files import read_json
from bonexray.data.arrays import ArrayFile
from bonexray.data.folds import FIRST
from bonexray.data.manifest import read_manifest
from bonexray.data.paths import COEFFICIENTS, HISTORY, IMAGES, MODEL_CARD, PREDICTIONS, model_folder
from bonexray.data.predictions import read_predictions
from bonexray.derived_params import derive_params
from bonexray.figures.explained.coefficients import coefficient_bars
from bonexray.registry import BASELINE, BASELINES, model_title
from bonexray.results.tables import baseline_notes, baseline_sentences, beats_baseline
from bonexray.train.baseline import describe_images, train_baseline
from bonexray.train.regression import STRENGTHS
from bonexray.train.settings import ModelRow

ROOT = Path(__file__).resolve().parents[1]
every_baseline = pytest.mark.parametrize("name", BASELINES)
PX = 32
RAMP = np.tile(np.linspace(0, 1, PX), (PX, 1))
NOISE = np.random.default_rng(7).random((PX, PX))
CHECKS = np.indices((PX, PX)).sum(axis=0) % 2 * 1.0


def descriptor(name: str):
    return import_module(f"bonexray.descriptors.{name}").describe


# Numbers of an image


@every_baseline
@pytest.mark.parametrize("image", [np.zeros((16, 16)), np.ones((16, 16)), RAMP, NOISE, CHECKS])
def test_every_image_has_the_same_finite_numbers(name: str, image: np.ndarray) -> None:
    numbers = descriptor(name)(image)
    assert list(numbers) == list(descriptor(name)(RAMP))
    assert np.isfinite(list(numbers.values())).all()


def test_brightness_is_the_mean() -> None:
    assert descriptor("brightness")(RAMP) == {"mean": pytest.approx(0.5)}


@pytest.mark.parametrize(
    ("number", "image", "expected"),
    [
        ("gradient_mean", np.full((PX, PX), 0.4), 0.0),
        ("gradient_anisotropy", RAMP, 1.0),  # all gradients point one way
        ("gradient_anisotropy", NOISE, 0.0),
        ("gradient_angle", RAMP, 1.0),  # from left to right
        ("gradient_angle", RAMP.T, -1.0),
        ("fractal_dimension", RAMP, 2.0),  # a plane
        ("fractal_dimension", NOISE, 3.0),  # fills the space
        ("glcm_contrast_1px", np.full((PX, PX), 0.4), 0.0),
        ("glcm_energy_1px", np.full((PX, PX), 0.4), 1.0),
        ("lbp_8", np.full((PX, PX), 0.4), 1.0),  # no neighbour is darker
    ],
)
def test_texture_has_the_values_of_known_images(number: str, image: np.ndarray, expected: float) -> None:
    assert descriptor("texture")(image)[number] == pytest.approx(expected, abs=0.13)


def test_texture_has_26_numbers_and_ignores_brightness_in_its_gradients() -> None:
    dark, bright = descriptor("texture")(NOISE / 2), descriptor("texture")(NOISE / 2 + 0.5)
    assert len(dark) == 26
    for number in ("gradient_mean", "gradient_sd", "laplacian_sd", "fractal_dimension"):
        assert dark[number] == pytest.approx(bright[number])


# Training


@pytest.fixture
def cohort(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    lay_out_images(PX, 60)
    return tmp_path


class Recorder:
    """Keeps what a training records."""

    def __init__(self) -> None:
        self.epochs: list[tuple[int, dict]] = []

    def epoch(self, number: int, metrics: dict) -> None:
        self.epochs.append((number, metrics))

    @contextmanager
    def __call__(self, _card: object, _run: object):
        yield self


def row(name: str) -> ModelRow:
    return ModelRow(mode=BASELINE, inputs=[f"src/bonexray/descriptors/{name}.py"])


@every_baseline
def test_a_baseline_is_the_regression_of_scikit_learn_with_the_penalty_that_validation_prefers(
    cohort: Path, name: str
) -> None:
    recorder = Recorder()
    train_baseline(name, row(name), with_settings(), recorder)
    rows, answers = read_predictions(model_folder(name) / PREDICTIONS, CLASSES)
    numbers = describe_images(name, ArrayFile(IMAGES)).to_numpy()
    manifest = read_manifest()
    train, val = ((manifest["split"] == part).to_numpy() for part in ("train", "val"))
    fits = [
        make_pipeline(
            StandardScaler(), LogisticRegression(C=1 / (s * train.sum()), class_weight="balanced", max_iter=5000)
        ).fit(numbers[train], manifest["label"][train])
        for s in STRENGTHS
    ]
    order = [list(fits[0].classes_).index(label) for label in CLASSES]
    losses = [log_loss(manifest["label"][val], fit.predict_proba(numbers[val]), labels=fit.classes_) for fit in fits]
    best = int(np.argmin(losses))
    assert answers == pytest.approx(fits[best].predict_proba(numbers)[:, order], abs=5e-3)
    assert read_json(model_folder(name) / MODEL_CARD)["chosen"] == {"strength": STRENGTHS[best]}
    assert [number for number, _ in recorder.epochs] == list(range(1, len(STRENGTHS) + 1))
    assert recorder.epochs[best][1]["val_log_loss"] == pytest.approx(losses[best], abs=1e-3)
    assert list(rows["split"]) == list(manifest["split"])
    assert set(pd.read_csv(model_folder(name) / HISTORY)["phase"]) == {"penalty"}


def test_no_number_of_a_test_image_changes_the_coefficients(cohort: Path) -> None:
    train_baseline("brightness", row("brightness"), with_settings(), Recorder())
    before = (model_folder("brightness") / COEFFICIENTS).read_bytes()
    images = np.load(IMAGES)
    images[(read_manifest()["split"] == "test").to_numpy()] = 0.9
    np.save(IMAGES, images)
    train_baseline("brightness", row("brightness"), with_settings(), Recorder())
    assert (model_folder("brightness") / COEFFICIENTS).read_bytes() == before
    images[(read_manifest()["split"] == "train").to_numpy()] /= 2
    np.save(IMAGES, images)
    train_baseline("brightness", row("brightness"), with_settings(), Recorder())
    assert (model_folder("brightness") / COEFFICIENTS).read_bytes() != before


def test_a_baseline_is_trained_in_every_fold_and_repeat(cohort: Path) -> None:
    manifest = read_manifest()
    manifest.assign(fold=[str(1 + n // 3 % 3) for n in range(len(manifest))]).to_csv(
        "data/split/manifest.csv", index=False
    )
    train_baseline("brightness", row("brightness"), with_settings(repeats=2), Recorder())
    rows, answers = read_predictions(model_folder("brightness") / PREDICTIONS, CLASSES)
    assert len(rows) == 2 * 3 * len(manifest)
    first, second = (answers[(rows["repeat"] == repeat).to_numpy()] for repeat in (1, 2))
    assert np.array_equal(first, second), "a regression has no seed"
    assert not np.array_equal(answers[: len(manifest)], answers[len(manifest) : 2 * len(manifest)])
    assert read_json(model_folder("brightness") / MODEL_CARD)["runs"][0] == {"repeat": FIRST.repeat, "fold": FIRST.fold}


def test_a_baseline_loads_no_keras(cohort: Path) -> None:
    code = (
        "import sys; from contextlib import nullcontext; from unittest import mock\n"
        "from bonexray.train.baseline import train_baseline\n"
        "from bonexray.train.settings import ModelRow, Train\n"
        "row = ModelRow(mode='baseline', inputs=['src/bonexray/descriptors/texture.py'])\n"
        "train_baseline('texture', row, Train(), lambda *_: nullcontext(mock.Mock()))\n"
        "print(sorted({'keras', 'tensorflow'} & set(sys.modules)))"
    )
    environment = {"PYTHONPATH": str(ROOT / "src"), "PATH": ""}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.strip().endswith("[]")


def test_baselines_are_in_every_study() -> None:
    for chosen in ("all", "vgg16", ["vgg16", "texture"], "brightness"):
        models = derive_params(
            {"model": chosen, "mode": "full", "modes": {}, "fine_tune": {}, "weights": {"files": {}}}
        )["models"]
        assert {name for name, entry in models.items() if entry.get("mode") == BASELINE} == set(BASELINES)


# The comparison with them


PAIRS = pd.DataFrame(
    [("a", "texture", 0.2, 0.1, 0.3), ("a", "b", 0.5, 0.4, 0.6), ("texture", "b", 0.3, 0.1, 0.5)],
    columns=["one", "other", "difference", "difference_low", "difference_high"],
)


def test_a_difference_from_the_baseline_is_the_models_score_less_the_baselines() -> None:
    above = differences_from(PAIRS, "texture")
    assert list(above) == ["a", "b"]
    assert list(above["a"].values()) == [0.2, 0.1, 0.3]
    assert list(above["b"].values()) == [-0.3, -0.5, -0.1]


@pytest.mark.parametrize(
    ("low", "high", "verb", "beats"),
    [
        (0.01, 0.2, "VGG16 beats the", True),
        (-0.1, 0.2, "VGG16 is not shown to beat the", False),
        (-0.3, -0.1, "VGG16 is worse than the", False),
    ],
)
def test_the_table_says_whether_a_network_beats_the_baseline(low: float, high: float, verb: str, beats: bool) -> None:
    ends = {"above_baseline": (low + high) / 2, "above_baseline_low": low, "above_baseline_high": high}
    headline = {"model": "vgg16", "best_baseline": "texture", "best_baseline_balanced_accuracy": 0.8, **ends}
    table = pd.DataFrame([{"model": "vgg16", "title": "VGG16", **ends}])
    (sentence,) = baseline_sentences(table, headline)
    assert sentence.startswith(f"{verb} texture baseline (0.800): difference")
    assert beats_baseline(ends) is beats
    assert beats_baseline({"kind": "baseline", **ends}), "a baseline is not held against another"
    assert bool(baseline_notes([ends], headline)) is not beats
    assert baseline_sentences(table, {"model": "vgg16"}) == []


@every_baseline
def test_the_coefficients_are_drawn(tmp_path: Path, name: str) -> None:
    numbers = list(descriptor(name)(RAMP))
    table = pd.DataFrame(np.linspace(-1, 1, 3 * len(numbers)).reshape(-1, 3), index=numbers, columns=CLASSES)
    coefficient_bars(table, f"{model_title(name)}: coefficients", tmp_path / "drawn.png")
    assert (tmp_path / "drawn.png").stat().st_size > 5000
