"""Ordinal outputs in every mode: one epoch of training, and a bundle that gives the recorded probabilities."""

from contextlib import chdir
from pathlib import Path

import numpy as np
import pytest
from conftest import REPOSITORY, YAML_FILE, Study

from bonexray.base.files import read_json
from bonexray.data.predictions import read_predictions
from bonexray.derived_params import derive_params
from bonexray.images.reading import write_png16
from bonexray.registry import FINE_TUNE, FROZEN, FULL, ORDINAL
from bonexray.serving.bundle import open_bundle, write_bundle
from bonexray.serving.predictor import Predictor
from bonexray.serving.study import study_bundle
from bonexray.study import load_settings

GRADES = ["normal", "osteopenia", "osteoporosis"]
BACKBONE, SCRATCH_MODEL = "mobilenet_v2", "small_cnn"
WAYS = {  # model, mode and head
    "linear head": (BACKBONE, FROZEN, "linear"),
    "standard head": (BACKBONE, FROZEN, "standard"),
    "fine-tuned": (BACKBONE, FINE_TUNE, "linear"),
    "all layers": (BACKBONE, FULL, "standard"),
    "from scratch": (SCRATCH_MODEL, FROZEN, "linear"),
}
SLOW = {("standard head", "corn"), ("fine-tuned", "corn"), ("all layers", "corn"), ("all layers", "cumulative")}
CASES = [
    pytest.param(way, output, id=f"{way}, {output}", marks=[pytest.mark.slow] if (way, output) in SLOW else [])
    for way in WAYS
    for output in ORDINAL
]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A study of 36 small images in three grades of brightness, with the features of a backbone."""
    made, rng = Study(tmp_path_factory.mktemp("graded")), np.random.default_rng(7)
    for number in range(36):
        grade = number % 3
        pixels = 0.2 + 0.25 * grade + 0.2 * rng.random((32, 32))
        write_png16(made.write(f"data/raw/{GRADES[grade]}/g{number}.png", b""), pixels)
    made.change({"dataset.classes": GRADES, "dataset.ordered": True, "train.epochs": 1, "train.batch_images": 8})
    made.change({"fine_tune.epochs": 1})
    choose(made, BACKBONE, FROZEN, "linear")
    run(made, ("split",), ("denoise",), ("prepare",), ("features", BACKBONE))
    return made


def choose(study: Study, name: str, mode: str, head: str) -> None:
    params = YAML_FILE.load(REPOSITORY / "params.yaml")
    chosen = {"model": [name], "mode": mode}
    fine_tune = {**params["fine_tune"], "epochs": 1}
    derived = derive_params({**params, **chosen, "fine_tune": fine_tune, "external": {}})
    study.change({**chosen, **derived, "train.head": head})


def run(study: Study, *calls: tuple[str, ...]) -> None:
    for call in calls:  # each in a process of its own, since modes differ in TensorFlow's threads
        done = study.stage(*call)
        assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize(("way", "output"), CASES)
def test_a_model_trains_and_its_bundle_gives_the_recorded_probabilities(
    study: Study, tmp_path: Path, way: str, output: str
) -> None:
    base, mode, head = WAYS[way]
    name = f"{base}_{output}"
    choose(study, name, mode, head)
    run(study, ("train", name))
    folder = study.folder / "models" / name
    card = read_json(folder / "model.json")
    assert card["train"]["output"] == output
    assert card["mode"] == ("scratch" if base == SCRATCH_MODEL else mode)
    rows, recorded = read_predictions(folder / "predictions.csv", GRADES)
    assert recorded.shape == (len(rows), 3)
    assert recorded.sum(axis=1) == pytest.approx(1, abs=1e-5)
    with chdir(study.folder):
        write_bundle(study_bundle(load_settings(), name), tmp_path / "bundle")
    answers = Predictor(open_bundle(tmp_path / "bundle")).predict([study.folder / "data/raw" / p for p in rows["path"]])
    assert np.stack([answer.probabilities for answer in answers]) == pytest.approx(recorded, abs=1e-5)
