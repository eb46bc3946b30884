"""Settings: their defaults, and one-line errors before any work is done."""

import sys
from pathlib import Path

import pytest
from pydantic import ValidationError
from ruamel.yaml import YAML

from bonexray.base.config import Section
from bonexray.base.errors import BonexrayError
from bonexray.check import inspect
from bonexray.composition import compose
from bonexray.derived_params import derive_params
from bonexray.study import Settings, load_settings, setting_findings

ROOT = Path(__file__).resolve().parents[1]
OPTIONAL = {name: field for name, field in Settings.model_fields.items() if not field.is_required()}

# Changes of the settings, and parts of the line that reports them: name, expected, received, what to do.
WRONG = {
    "unknown key": (
        {"split.subsett": 0.5},
        ["split.subsett", "'subset', perhaps", "an unknown key", "conf/config.yaml"],
    ),
    "unknown section": ({"trian": {}}, ["trian", "'train', perhaps", "an unknown key", "conf/config.yaml"]),
    "text for a number": ({"train.epochs": "ten"}, ["train.epochs", "integer", "'ten'", "dvc exp run -S"]),
    "true for a number": ({"train.epochs": True}, ["train.epochs", "integer", "True"]),
    "number for a text": ({"denoise.method": 3}, ["denoise.method", "string", "3"]),
    "word outside the choice": ({"prepare.resize": "crop"}, ["prepare.resize", "'pad' or 'stretch'", "'crop'"]),
    "value out of range": ({"split.subset": 0}, ["split.subset", "greater than 0", "received 0"]),
    "null": ({"split.seed": None}, ["split.seed", "integer", "None"]),
    "ratios that sum to 1.1": (
        {"split.ratios": {"train": 0.7, "val": 0.2, "test": 0.2}},
        ["split.ratios", "sum to 1", "'train': 0.7", "conf/config.yaml"],
    ),
    "share of 0": (
        {"split.ratios": {"train": 0.8, "val": 0.0, "test": 0.2}},
        ["split.ratios", "above 0", "'val': 0.0"],
    ),
    "pattern without a group": (
        {"dataset.group_pattern": "p\\d+"},
        ["dataset.group_pattern", "in parentheses", "p"],
    ),
    "grades without an order": (
        {"dataset.classes": None, "dataset.ordered": True},
        ["dataset.ordered", "the grades from lowest to highest in dataset.classes", "True"],
    ),
    "invalid pattern": ({"dataset.group_pattern": "(p"}, ["dataset.group_pattern", "in parentheses", "'(p'"]),
    "no model": ({"models": {}}, ["models", "at least 1 item", "{}"]),
}

CHECKED = ["unknown key", "text for a number", "ratios that sum to 1.1"]


@pytest.fixture
def study(study):
    """A valid study of one small network."""
    choices = {"model": "compact_cnn", "mode": "frozen", "modes": {}, "fine_tune": {}, "weights": {"files": {}}}
    study.change({"model": "compact_cnn", **derive_params(choices)})
    return study


def one_line(path: Path) -> str:
    with pytest.raises(BonexrayError) as error:
        load_settings(path)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_the_settings_of_the_repository_are_valid() -> None:
    assert setting_findings(ROOT / "params.yaml") == []


@pytest.fixture(scope="module")
def composed(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings that conf/ gives for a data set of one's own; params.yaml may hold those of an experiment."""
    path = tmp_path_factory.mktemp("composed") / "params.yaml"
    compose(path, ROOT / "conf", ["dataset=folder"])
    return load_settings(path)


@pytest.mark.parametrize("name", OPTIONAL)
def test_defaults_in_conf_equal_the_defaults_in_the_classes(composed: Settings, name: str) -> None:
    section, default = getattr(composed, name), OPTIONAL[name].get_default(call_default_factory=True)
    assert section == default
    if isinstance(section, Section):
        unset = set(type(section).model_fields) - section.model_fields_set
        assert not unset, f"conf/config.yaml lacks {unset}"


def test_defaults_of_a_data_set_equal_those_of_its_class(composed: Settings) -> None:
    fields = type(composed.dataset).model_fields
    optional = {name: field for name, field in fields.items() if not field.is_required()}
    defaults = {name: field.get_default(call_default_factory=True) for name, field in optional.items()}
    assert composed.dataset.model_dump(include=set(defaults)) == defaults
    assert composed.dataset.model_fields_set == set(fields)


def test_settings_are_frozen(study) -> None:
    settings = load_settings(study.folder / "params.yaml")
    with pytest.raises(ValidationError, match="frozen"):
        settings.split.subset = 0.1


@pytest.mark.parametrize(("changes", "parts"), WRONG.values(), ids=WRONG)
def test_a_wrong_setting_is_reported_in_one_line(study, changes: dict, parts: list[str]) -> None:
    study.change(changes)
    line = one_line(study.folder / "params.yaml")
    assert [part for part in parts if part not in line] == []
    assert "expected" in line and "received" in line


def test_a_missing_setting_has_its_default(study) -> None:
    path = study.folder / "params.yaml"
    study.change({"split.max_bad_fraction": 0.9})
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if "max_bad_fraction" not in line))
    assert load_settings(path).split.max_bad_fraction == 0.2


def test_a_missing_required_setting_is_reported(study) -> None:
    study.change({"models.compact_cnn": {"mode": "scratch"}})
    line = one_line(study.folder / "params.yaml")
    assert "models.compact_cnn.inputs: expected a value, received no such key" in line


def test_every_wrong_setting_is_one_finding(study) -> None:
    study.change({"train.epochs": 0, "split.seed": -1, "denoise.sigma": 0})
    keys = {finding.what.split(": ")[1] for finding in setting_findings(study.folder / "params.yaml")}
    assert keys == {"train.epochs", "split.seed", "denoise.sigma"}


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
def test_a_file_without_settings_is_reported(tmp_path: Path, content: str | None, received: str) -> None:
    path = tmp_path / "params.yaml"
    if content is not None:
        path.write_text(content)
    line = one_line(path)
    assert str(path) in line
    assert received in line
    assert "git checkout params.yaml" in line


def test_check_accepts_a_valid_study(study) -> None:
    done = study.check()
    assert (done.returncode, done.stderr) == (0, "")
    assert "no problems" in done.stdout


@pytest.mark.parametrize(("changes", "parts"), [WRONG[name] for name in CHECKED], ids=CHECKED)
def test_check_reports_a_wrong_setting_in_one_line(study, changes: dict, parts: list[str]) -> None:
    study.change(changes)
    done = study.check()
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert [part for part in parts if part not in done.stderr] == []
    assert "Traceback" not in done.stdout + done.stderr


def test_check_writes_one_line_for_each_finding(study) -> None:
    study.change({"train.epochs": 0, "split.subsett": 0.5, "prepare.resize": "crop"})
    done = study.check()
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 3
    assert all(": expected " in line for line in done.stderr.splitlines())


def test_check_without_params_yaml_writes_one_line(study) -> None:
    (study.folder / "params.yaml").unlink()
    done = study.check()
    assert done.returncode == 1
    assert done.stderr.startswith("params.yaml: expected the study's settings, received no such file; ")
    assert len(done.stderr.splitlines()) == 1


def test_check_imports_no_heavy_library(study) -> None:
    done = study.run(sys.executable, "-X", "importtime", str(Path(sys.executable).with_name("bonexray")), "check")
    assert done.returncode == 0
    imported = {line.split("|")[-1].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert "bonexray" in imported
    assert imported & {"keras", "tensorflow", "mlflow", "PIL", "matplotlib"} == set()


@pytest.mark.parametrize(
    ("primary", "problem"),
    [
        (["vgg16", "xception"], ""),
        (["vgg16", "ensemble_mean"], ""),
        (["vgg16", "vgg61"], "'vgg61'"),
        (["vgg16", "vgg16"], "two different models"),
        (["vgg16"], "evaluate.primary"),
    ],
)
def test_a_planned_comparison_names_two_models_of_the_study(tmp_path: Path, primary: list[str], problem: str) -> None:
    content = YAML(typ="safe").load(Path("params.yaml"))
    content["evaluate"]["primary"] = primary
    with (tmp_path / "params.yaml").open("w") as file:
        YAML(typ="safe").dump(content, file)
    found = [text for text in map(str, inspect(tmp_path / "params.yaml").findings) if "primary" in text]
    assert bool(found) == bool(problem) and problem in " ".join(found)
