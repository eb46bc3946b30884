"""`bonexray tune` as it is typed, what it refuses, and what DVC says of its inputs."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from conftest import REPOSITORY, YAML_FILE
from dvc.repo import Repo
from searches import MODEL, lay_out, quick, settings_with
from typer.testing import CliRunner, Result

from bonexray.base.errors import BonexrayError
from bonexray.cli import app
from bonexray.derived_params import derive_params
from bonexray.tracking import live
from bonexray.tuning import search
from bonexray.tuning.inputs import require_inputs
from bonexray.tuning.winner import override_of

PAGE = (REPOSITORY / "docs/search.md").read_text(encoding="utf-8")
COMMAND = re.search(r"^bonexray (tune .*)$", PAGE, re.M)[1].split()


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: a study of one model with its features, and trainings that take no time."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(live, "given_up", set())
    monkeypatch.setattr(search, "attempt", quick())
    monkeypatch.chdir(tmp_path)
    lay_out()
    write_params(tmp_path)
    return tmp_path


def write_params(root: Path, **changes: object) -> None:
    content = settings_with().model_dump(by_alias=True) | {"model": MODEL}
    content["train"] |= changes
    content |= derive_params(content)
    YAML_FILE.dump(content, root / "params.yaml")


def tune(*options: str) -> Result:
    return CliRunner().invoke(app, ["tune", *options])


def refused(*options: str) -> str:
    """The one line that a refused command ends in."""
    result = tune(*options)
    assert isinstance(result.exception, BonexrayError), result.output
    assert result.output == ""
    return str(result.exception)


def test_the_readmes_command_writes_the_winner_and_says_how_to_use_it(root: Path) -> None:
    assert COMMAND[:2] == ["tune", "--model"] and COMMAND[3] == "--trials"
    result = tune("--model", MODEL, "--trials", COMMAND[4])
    assert result.exit_code == 0, result.output
    assert "tune: trial 0: validation log loss" in result.output and "0 (present)" in result.output
    assert f"dvc exp run -S model={MODEL} -S +tuned={MODEL}" in result.output
    assert f"dvc exp run -S model={COMMAND[2]} -S +tuned={COMMAND[2]}" in PAGE
    written = override_of(MODEL).read_text(encoding="utf-8")
    assert set(YAML_FILE.load(written)["train"]) >= {"head", "learning_rate", "dropout"}
    again = tune("--model", MODEL, "--trials", COMMAND[4])
    assert f"continuing after {COMMAND[4]} trials" in again.output
    assert override_of(MODEL).read_text(encoding="utf-8") == written


def test_what_is_not_searched_is_said(root: Path) -> None:
    write_params(root, repeats=3)
    said = tune("--model", MODEL, "--trials", "1").output
    assert "features.copies=8" in said and "only the seed of the first repeat" in said


def test_an_interrupt_is_one_line_and_the_same_command_goes_on(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = search.attempt

    def interrupted(searched, number: int, *others: object):
        if number == 2:
            raise KeyboardInterrupt
        return real(searched, number, *others)

    with monkeypatch.context() as patch:
        patch.setattr(search, "attempt", interrupted)
        stopped = tune("--model", MODEL, "--trials", "4")
    assert stopped.exit_code == 130 and "tune: interrupted; run the same command" in stopped.output
    assert not override_of(MODEL).exists()
    assert "continuing after 2 trials, up to 4" in tune("--model", MODEL, "--trials", "4").output


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (("--model", MODEL, "--trials", "0"), r"--trials: expected at least 1, received 0"),
        (("--model", "vgg61", "--trials", "3"), r"model: expected one of vgg16, .*received 'vgg61'"),
        (
            ("--model", "vgg16", "--trials", "3"),
            r"--model: .* params.yaml: mobilenet_v2, received 'vgg16'; run `dvc exp run -S model=vgg16`",
        ),
    ],
)
def test_bad_input_is_one_line(root: Path, options: tuple[str, ...], line: str) -> None:
    assert re.search(line, refused(*options))
    assert not (root / ".bonexray").exists() and not (root / "mlflow.db").exists()


def test_without_optuna_it_says_how_to_get_it(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "pip install 'bonexray[tune]'" in refused("--model", MODEL)


# Inputs


def features_card(root: Path) -> Path:
    return root / f"data/features/{MODEL}/features.json"


def change_card(root: Path, **changes: object) -> None:
    card = json.loads(features_card(root).read_text())
    features_card(root).write_text(json.dumps(card | changes))


def lose(file: str):
    return lambda root: (root / file).unlink()


def own_weights(root: Path) -> None:
    (root / "weights").mkdir()
    (root / f"weights/{MODEL}.weights.h5").write_bytes(b"other")


def fewer_rows(root: Path) -> None:
    file = root / f"data/features/{MODEL}/features.npy"
    np.save(file, np.load(file)[:-1])


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (lose(f"data/features/{MODEL}/features.npy"), "no such file"),
        (lose(f"data/features/{MODEL}/features.json"), "no such file"),
        (lambda root: change_card(root, img_px=64), "features of 64 px"),
        (lambda root: change_card(root, copies=4), "features of 4 augmented copies"),
        (fewer_rows, "features of 29 images"),
        (own_weights, "features of other weights"),
    ],
    ids=["no features", "no card", "px", "copies", "images", "weights"],
)
def test_features_that_are_missing_or_stale_name_their_stage(root: Path, spoil, line: str) -> None:
    spoil(root)
    said = refused("--model", MODEL)
    assert line in said and f"run `dvc repro features@{MODEL}`" in said


def test_a_study_in_folds_is_refused(root: Path) -> None:
    settings = settings_with()
    folds = settings.model_copy(update={"split": settings.split.model_copy(update={"folds": 5})})
    with pytest.raises(BonexrayError, match=r"split.folds: expected null for a search"):
        require_inputs(folds, MODEL)


def test_dvc_is_asked_whether_the_features_are_up_to_date(root: Path) -> None:
    stages = {
        "split": {"cmd": "true", "params": ["split"], "outs": ["data/split/manifest.csv", "data/split/classes.json"]},
        "prepare": {"cmd": "true", "params": ["prepare"], "outs": ["data/prepared"]},
        "features": {
            "foreach": {MODEL: {}},
            "do": {
                "cmd": "true",
                "deps": ["data/split/manifest.csv", "data/prepared"],
                "outs": [f"data/features/{MODEL}"],
            },
        },
    }
    YAML_FILE.dump({"stages": stages}, root / "dvc.yaml")
    with Repo.init(str(root), no_scm=True) as repo:
        repo.commit(force=True)
    assert require_inputs(settings_with(), MODEL) == 0
    params = YAML_FILE.load(root / "params.yaml")
    params["prepare"]["resize"] = "stretch"
    YAML_FILE.dump(params, root / "params.yaml")
    with pytest.raises(BonexrayError, match=rf"the output of prepare.*run `dvc repro features@{MODEL} split`"):
        require_inputs(settings_with(), MODEL)
