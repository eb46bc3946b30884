"""Settings: what is typed wrong is named in one line before any work is done."""

import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from bonexray.errors import BonexrayError
from bonexray.study import load_settings, setting_findings

ROOT = Path(__file__).resolve().parents[1]

# what is changed, and what the one line has to say of it: name, expected, received, what to do
WRONG = {
    "unknown key": (
        {"split.subsett": 0.5},
        ["split.subsett", "'subset', perhaps", "an unknown key", "conf/config.yaml"],
    ),
    "unknown section": ({"trian": {}}, ["trian", "'train', perhaps", "an unknown key", "conf/config.yaml"]),
    "text for a number": ({"train.epochs": "ten"}, ["train.epochs", "integer", "'ten'", "dvc exp run -S"]),
    "true for a number": ({"train.epochs": True}, ["train.epochs", "integer", "True"]),
    "number for a text": ({"denoise.method": 3}, ["denoise.method", "string", "3"]),
    "a word outside the choice": ({"prepare.resize": "crop"}, ["prepare.resize", "'pad' or 'stretch'", "'crop'"]),
    "a value out of range": ({"split.subset": 0}, ["split.subset", "greater than 0", "received 0"]),
    "no value": ({"split.seed": None}, ["split.seed", "integer", "None"]),
    "ratios that sum to 1.1": (
        {"split.ratios": {"train": 0.7, "val": 0.2, "test": 0.2}},
        ["split.ratios", "sum to 1", "'train': 0.7", "conf/config.yaml"],
    ),
    "a share of 0": (
        {"split.ratios": {"train": 0.8, "val": 0.0, "test": 0.2}},
        ["split.ratios", "above 0", "'val': 0.0"],
    ),
    "a pattern without parenthesis": (
        {"dataset.group_pattern": "p\\d+"},
        ["dataset.group_pattern", "parenthesis", "p"],
    ),
    "a pattern that is none": ({"dataset.group_pattern": "(p"}, ["dataset.group_pattern", "parenthesis", "'(p'"]),
    "no model": ({"models": {}}, ["models", "at least 1 item", "{}"]),
}

CHECKED = ["unknown key", "text for a number", "ratios that sum to 1.1"]


def one_line(path: Path) -> str:
    with pytest.raises(BonexrayError) as error:
        load_settings(path)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_the_settings_of_the_repository_are_sound() -> None:
    assert setting_findings(ROOT / "params.yaml") == []


def test_settings_are_frozen(study) -> None:
    settings = load_settings(study.folder / "params.yaml")
    with pytest.raises(ValidationError, match="frozen"):
        settings.split.subset = 0.1


@pytest.mark.parametrize(("changes", "says"), WRONG.values(), ids=WRONG)
def test_a_wrong_setting_is_named_in_one_line(study, changes: dict, says: list[str]) -> None:
    study.change(changes)
    line = one_line(study.folder / "params.yaml")
    assert [part for part in says if part not in line] == []
    assert "expected" in line and "received" in line


def test_a_missing_key_is_named(study) -> None:
    path = study.folder / "params.yaml"
    path.write_text(path.read_text().replace("max_bad_fraction:", "max_bad:"))
    lines = sorted(str(finding) for finding in setting_findings(path))
    assert [line.split(": expected")[0].split(": ")[1] for line in lines] == ["split.max_bad", "split.max_bad_fraction"]


def test_every_wrong_setting_is_one_finding(study) -> None:
    study.change({"train.epochs": 0, "split.seed": -1, "denoise.sigma": 0})
    found = {finding.what.split(": ")[1] for finding in setting_findings(study.folder / "params.yaml")}
    assert found == {"train.epochs", "split.seed", "denoise.sigma"}


def test_a_number_may_be_written_with_an_exponent(study) -> None:
    path = study.folder / "params.yaml"
    path.write_text(path.read_text().replace("learning_rate: 0.001", "learning_rate: 1e-3"))
    assert "1e-3" in path.read_text()
    assert load_settings(path).train.learning_rate == 0.001


@pytest.mark.parametrize(
    ("content", "received"),
    [
        (None, "no such file"),
        ("split: [1, 2", "flow sequence"),
        ("- a\n- b\n", "list"),
        ("", "NoneType"),
        ("42", "int"),
    ],
)
def test_a_file_that_holds_no_settings_is_named(tmp_path: Path, content: str | None, received: str) -> None:
    path = tmp_path / "params.yaml"
    if content is not None:
        path.write_text(content)
    line = one_line(path)
    assert str(path) in line
    assert received in line
    assert "git checkout params.yaml" in line


def test_check_says_yes_to_a_sound_study(study) -> None:
    done = study.check()
    assert (done.returncode, done.stderr) == (0, "")
    assert "sound" in done.stdout


@pytest.mark.parametrize(("changes", "says"), [WRONG[name] for name in CHECKED], ids=CHECKED)
def test_check_names_a_wrong_setting_in_one_line(study, changes: dict, says: list[str]) -> None:
    study.change(changes)
    done = study.check()
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert [part for part in says if part not in done.stderr] == []
    assert "Traceback" not in done.stdout + done.stderr


def test_check_gives_a_line_to_each_finding(study) -> None:
    study.change({"train.epochs": 0, "split.subsett": 0.5, "prepare.resize": "crop"})
    done = study.check()
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 3
    assert all(": expected " in line for line in done.stderr.splitlines())


def test_check_without_settings_is_one_line(study) -> None:
    (study.folder / "params.yaml").unlink()
    done = study.check()
    assert done.returncode == 1
    assert done.stderr.startswith("params.yaml: expected the study's settings, received no such file; ")
    assert len(done.stderr.splitlines()) == 1


def test_check_imports_no_network_library(study) -> None:
    done = study.run(sys.executable, "-X", "importtime", str(Path(sys.executable).with_name("bonexray")), "check")
    assert done.returncode == 0
    imported = {line.split("|")[-1].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert "bonexray" in imported
    assert imported & {"keras", "tensorflow", "mlflow", "PIL", "matplotlib"} == set()
