"""`bonexray external`: a model of a bundle or a study on labelled X-rays of another hospital."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score
from trained_study import FROZEN
from typer.testing import CliRunner, Result

from bonexray.base.errors import BonexrayError
from bonexray.cli import app
from bonexray.serving.predictor import Predictor
from bonexray.serving.study import study_bundle
from bonexray.study import load_settings

CLASSES = ["osteoporosis", "normal"]


@pytest.fixture(autouse=True)
def here(trained_study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test runs in the study's folder."""
    monkeypatch.chdir(trained_study)


@pytest.fixture
def hospital(trained_study: Path, tmp_path: Path) -> Path:
    """Return a folder of six X-rays of each class under other names, and one of a third label."""
    for label, name in (("normal", "kl0"), ("osteoporosis", "kl4")):
        (tmp_path / name).mkdir()
        for path in sorted((trained_study / "data/raw" / label).glob("*.png"))[:6]:
            shutil.copy(path, tmp_path / name)
    (tmp_path / "implant").mkdir()
    shutil.copy(trained_study / "data/raw/normal/0.png", tmp_path / "implant")
    return tmp_path


def external(folder: Path, *options: str) -> Result:
    return CliRunner().invoke(app, ["external", str(folder), *options])


LABELS = ("--label", "kl0=normal", "--label", "kl4=osteoporosis")


def test_scores_are_of_the_models_answers_and_what_is_left_out_is_named(hospital: Path) -> None:
    (hospital / "kl0/bad.png").write_bytes(b"")
    done = external(hospital, *LABELS)
    assert done.exit_code == 0, done.output
    assert "12 of 13 X-rays with mobilenet_v2" in done.stdout
    assert "left out: 1 with the label 'implant'" in done.stderr and "bad.png: empty file" in done.stderr
    predictor = Predictor(study_bundle(load_settings(), FROZEN))
    paths = [path for name in ("kl0", "kl4") for path in sorted((hospital / name).glob("[0-9]*.png"))]
    truth = [CLASSES.index({"kl0": "normal", "kl4": "osteoporosis"}[path.parent.name]) for path in paths]
    predicted = [CLASSES.index(answer.label) for answer in predictor.predict(paths)]
    expected = balanced_accuracy_score(truth, predicted)
    line = next(line for line in done.stdout.splitlines() if line.startswith("balanced accuracy"))
    value, low, high = (
        float(part) for part in line.split(":")[1].replace("(", "").replace(")", "").replace("to", "").split()[:3]
    )
    assert value == pytest.approx(expected, abs=5e-4) and low <= value <= high and np.isfinite([low, high]).all()


REFUSED = {
    "a missing folder": ("nowhere", (), "bonexray external.root"),
    "no label of a class": (".", (), "bonexray external: expected images of"),
    "one class": (".", ("--label", "kl0=normal"), "expected X-rays of two classes, received only normal"),
    "an unknown class": (".", ("--label", "kl0=broken"), "received broken"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_folder_that_cannot_be_scored_is_refused_in_one_line(case: str, hospital: Path) -> None:
    folder, options, expected = REFUSED[case]
    done = external(hospital / folder, *options)
    assert isinstance(done.exception, BonexrayError) and expected in str(done.exception)
    assert "\n" not in str(done.exception)
