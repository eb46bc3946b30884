"""dvc.yaml, dvc.lock, conf/ and params.yaml against the code they describe."""

import ast
import re
from pathlib import Path

import pytest
from dvc.repo import Repo
from dvc.utils.hydra import compose_and_dump
from ruamel.yaml import YAML

from bonexray.config import Settings, load_settings
from bonexray.models.registry import REGISTRY

ROOT = Path(__file__).parents[1]
STAGES = sorted(path.stem for path in (ROOT / "stages").glob("*.py"))
DVC_YAML = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]
CODE = ("src/", "stages/", "params.yaml")
VIEWS = {"stage", "check", "tracking", "progress"}  # they refuse, log and show; no output depends on them


def composed(target: Path, *overrides: str) -> dict:
    compose_and_dump(str(target), str(ROOT / "conf"), None, "config", "", list(overrides))
    return YAML(typ="safe").load(target)


def definition(stage: str) -> dict:
    return DVC_YAML[stage].get("do", DVC_YAML[stage])


def keys(node: object) -> list[str]:
    if isinstance(node, dict):
        return [*node, *(key for value in node.values() for key in keys(value))]
    return [key for value in node for key in keys(value)] if isinstance(node, list) else []


def imported(file: Path) -> set[Path]:
    """Modules of the package that a file imports, directly or through others, views aside."""
    found: set[Path] = set()
    waiting = [file]
    while waiting:
        for node in ast.walk(ast.parse(waiting.pop().read_text(encoding="utf-8"))):
            names = [f"{node.module}.{alias.name}" for alias in node.names] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                parts = name.split(".")
                candidates = [
                    ROOT.joinpath("src", *parts[:depth]).with_suffix(".py") for depth in (len(parts), len(parts) - 1)
                ]
                for module in candidates:
                    if parts[0] == "bonexray" and module.exists() and module.stem not in VIEWS and module not in found:
                        found.add(module)
                        waiting.append(module)
    return found


def as_dependency(module: Path) -> str:
    """A module in a package is depended on by its package, one beside the packages by itself."""
    parts = module.relative_to(ROOT / "src/bonexray").parts
    return f"src/bonexray/{parts[0]}"


def test_params_are_what_conf_composes(tmp_path):
    composed(tmp_path / "params.yaml")
    assert (tmp_path / "params.yaml").read_text() == (ROOT / "params.yaml").read_text()


@pytest.mark.parametrize("dataset", sorted(path.stem for path in (ROOT / "conf/dataset").glob("*.yaml")))
@pytest.mark.parametrize("preset", sorted(path.stem for path in (ROOT / "conf/preset").glob("*.yaml")))
def test_every_dataset_and_preset_gives_valid_settings(tmp_path, dataset, preset):
    composed(tmp_path / "params.yaml", f"dataset={dataset}", f"preset={preset}")
    assert load_settings(tmp_path / "params.yaml").dataset.name == dataset


def test_a_preset_changes_the_settings(tmp_path):
    assert composed(tmp_path / "params.yaml", "preset=smoke")["train"]["epochs"] == 1


@pytest.mark.parametrize("name", REGISTRY)
def test_conf_follows_the_registry(tmp_path, name):
    row = REGISTRY[name]
    study = composed(tmp_path / "params.yaml", f"model={name}")
    assert study["models"] == {name: {"inputs": row.inputs}}
    assert study["backbones"] == {b: {"watch": "src/bonexray/models"} for b in row.backbones}
    assert study["curves"] == {f"models/{name}/history.csv": ["loss", "val_loss"]}
    assert study["confusion"] == {f"reports/models/{name}/results_{name}.csv": "prediction"}
    others = dict.fromkeys(REGISTRY, "data/split/manifest.csv")
    assert study["evaluated"] == {**others, name: f"metrics/models/{name}.json"}


def test_the_default_study_is_the_whole_registry():
    assert set(load_settings(ROOT / "params.yaml").models) == set(REGISTRY)


def test_a_weights_file_of_ones_own_is_watched(tmp_path):
    study = composed(tmp_path / "params.yaml", '+weights.files.resnet50="/a b/(1).h5"')
    assert study["backbones"]["resnet50"]["watch"] == "/a b/(1).h5"


def test_aggregate_depends_on_every_model():
    lines = {dep for dep in DVC_YAML["aggregate"]["deps"] if "evaluated" in dep}
    assert lines == {f"${{evaluated.{name}}}" for name in REGISTRY}


def test_no_parameter_has_a_name_that_the_run_cache_ignores():
    files = [ROOT / "params.yaml", *ROOT.glob("conf/**/*.yaml")]
    assert not {"size", "nfiles"} & {key for file in files for key in keys(YAML(typ="safe").load(file))}


def test_every_section_of_the_settings_is_explained():
    text = (ROOT / "conf/config.yaml").read_text()
    for section, field in Settings.model_fields.items():
        options = getattr(field.annotation, "model_fields", {})
        if section != "dataset":
            assert all(re.search(rf"^\s+{key}:.*", text, re.M) for key in options), section


@pytest.mark.parametrize("stage", DVC_YAML)
def test_a_stage_is_called_like_its_script(stage):
    assert definition(stage)["cmd"].startswith(f"PYTHONPATH=src python stages/{stage}.py")
    assert f"stages/{stage}.py" in definition(stage)["deps"]
    assert stage in STAGES


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_exactly_the_code_it_imports(stage):
    needed = {as_dependency(module) for module in imported(ROOT / f"stages/{stage}.py")}
    declared = {dep for dep in definition(stage)["deps"] if dep.startswith("src/")}
    assert declared == needed


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_declares_exactly_the_sections_it_reads(stage):
    script = (ROOT / f"stages/{stage}.py").read_text(encoding="utf-8")
    read = set(re.findall(r"settings\.(\w+)", script)) & set(Settings.model_fields)
    assert {name.split(".")[0] for name in definition(stage)["params"]} == read


def test_the_lock_is_from_this_code():
    """Holds in a fresh clone too, where the data that the lock names are not there."""
    with Repo(str(ROOT)) as repo:
        deps = [(stage.addressing, dep) for stage in repo.index.stages for dep in stage.deps]
        stale = [f"{stage}: {dep}" for stage, dep in deps if str(dep).startswith(CODE) and dep.status()]
    assert not stale, "dvc.lock is older than the code: run `dvc repro` and commit dvc.lock and metrics/"
