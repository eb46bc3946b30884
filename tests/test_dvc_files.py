"""dvc.yaml, dvc.lock, conf/ and params.yaml against the code they describe."""

import ast
import re
from pathlib import Path

import pytest
from dvc.repo import Repo
from ruamel.yaml import YAML

from bonexray.check import settings_findings
from bonexray.composition import compose
from bonexray.registry import BACKBONES, BASELINES, FINE_TUNE, FROZEN, FULL, GROUPS, REGISTRY, SCRATCH, SLOTS
from bonexray.registry_files import registry_files
from bonexray.repro.durations import COMMITTED, read_durations
from bonexray.study import Settings, load_settings
from bonexray.train.settings import ModelRow

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src/bonexray"
STAGES = sorted(path.stem for path in (ROOT / "stages").glob("*.py"))
DVC_YAML = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]
CODE = ("src/", "stages/", "params.yaml")
# They refuse, log and show, and no output depends on them. The table of models reaches the stages of one model as a
# parameter, `models.<name>` or `backbones.<name>`, so these do not depend on its file.
NO_DEPENDENCY = {"stage", "check", "tracking", "progress", "study", "derived_params"}
ROWS_AS_PARAMETERS = {"features", "train", "explain"}


def composed(target: Path, *overrides: str) -> dict:
    compose(target, ROOT / "conf", overrides)
    return YAML(typ="safe").load(target)


def definition(stage: str) -> dict:
    return DVC_YAML[stage].get("do", DVC_YAML[stage])


def keys(node: object) -> list[str]:
    if isinstance(node, dict):
        return [*node, *(key for value in node.values() for key in keys(value))]
    return [key for value in node for key in keys(value)] if isinstance(node, list) else []


def imported(file: Path) -> set[Path]:
    """Return the modules of the package that a file imports, directly or through others."""
    modules: set[Path] = set()
    waiting = [file]
    while waiting:
        for node in ast.walk(ast.parse(waiting.pop().read_text(encoding="utf-8"))):
            names = [f"{node.module}.{alias.name}" for alias in node.names] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                new = {path for path in module_files(name) if path not in modules and not exempt(path)}
                modules |= new
                waiting += new
    return modules


def module_files(name: str) -> list[Path]:
    """Return the files that `from <module> import <name>` may mean, of the package alone."""
    if not name.startswith("bonexray."):
        return []
    path = ROOT.joinpath("src", *name.split("."))
    files = [path.with_suffix(".py"), path / "__init__.py", path.parent.with_suffix(".py"), path.parent / "__init__.py"]
    return [file for file in files if file.exists()]


def exempt(module: Path) -> bool:
    return module.relative_to(PACKAGE).parts[0].removesuffix(".py") in NO_DEPENDENCY


def dependency_of(module: Path, declared: set[str]) -> str:
    """Return the declared dependency that covers a module: itself, or a folder that it is in; else its own path."""
    path = module.relative_to(ROOT)
    covering = [parent.as_posix() for parent in (path, *path.parents) if parent.as_posix() in declared]
    return covering[0] if covering else path.as_posix()


def test_params_are_what_conf_composes(tmp_path):
    composed(tmp_path / "params.yaml")
    assert (tmp_path / "params.yaml").read_text() == (ROOT / "params.yaml").read_text(), "run `bonexray registry`"


@pytest.mark.parametrize("dataset", sorted(path.stem for path in (ROOT / "conf/dataset").glob("*.yaml")))
@pytest.mark.parametrize("preset", sorted(path.stem for path in (ROOT / "conf/preset").glob("*.yaml")))
def test_every_dataset_and_preset_gives_valid_settings(tmp_path, dataset, preset):
    composed(tmp_path / "params.yaml", f"dataset={dataset}", f"preset={preset}")
    assert load_settings(tmp_path / "params.yaml").dataset.name == dataset


def test_a_preset_changes_the_settings(tmp_path):
    assert composed(tmp_path / "params.yaml", "preset=smoke")["train"]["epochs"] == 1


def test_what_follows_from_the_table_is_as_it_would_be_written():
    stale = [path.name for path, text in registry_files(ROOT).items() if path.read_text(encoding="utf-8") != text]
    assert not stale, "run `bonexray registry`"


@pytest.mark.parametrize(("file", "lines"), [("params.yaml", 300), ("dvc.yaml", 280)])
def test_the_files_of_the_pipeline_can_be_read_from_top_to_bottom(file, lines):
    assert len((ROOT / file).read_text(encoding="utf-8").splitlines()) <= lines


@pytest.mark.parametrize("name", REGISTRY)
def test_a_study_of_one_model_has_its_backbones_and_stands_for_all_others(tmp_path, name):
    study = composed(tmp_path / "params.yaml", f"model={name}")
    assert list(study["models"]) == [name, *BASELINES]
    assert list(study["backbones"]) == list(REGISTRY[name].backbones)
    assert study["panel"] == [name, *BASELINES, *[name] * (SLOTS - 1 - len(BASELINES))]


@pytest.mark.parametrize("mode", [FROZEN, FINE_TUNE, FULL])
def test_a_model_depends_on_the_features_of_its_backbones_or_on_its_builder(tmp_path, mode):
    study = composed(tmp_path / "params.yaml", f"mode={mode}", "model=[all,located_cnn]")["models"]
    for name in [*GROUPS["all"], "located_cnn"]:
        row = REGISTRY[name]
        features = [f"data/features/{backbone}" for backbone in row.backbones]
        assert study[name]["inputs"] == (features or [f"src/bonexray/builders/{name}.py"])
        assert ModelRow(**study[name]).mode == (mode if row.backbones else SCRATCH)
        assert ("fine_tune" in study[name]) == (mode == FINE_TUNE and bool(row.backbones))


def test_every_input_that_is_code_exists():
    study = load_settings(ROOT / "params.yaml")
    inputs = [path for row in study.models.values() for path in row.inputs]
    code = [path for path in [*inputs, *(row.watch for row in study.backbones.values())] if path.startswith("src/")]
    assert code and not [path for path in code if not (ROOT / path).is_file()]


def test_one_model_may_have_a_mode_of_its_own(tmp_path):
    study = composed(tmp_path / "params.yaml", "+modes.resnet50=fine_tune", "fine_tune.epochs=3")["models"]
    assert study["resnet50"]["mode"] == "fine_tune"
    assert study["resnet50"]["fine_tune"]["epochs"] == 3
    assert study["resnet50"]["fine_tune"]["blocks"] == {"resnet50": BACKBONES["resnet50"].fine_tune_from}
    assert [name for name, row in study.items() if "mode" in row] == ["resnet50", *BASELINES]


def test_the_paper_preset_is_the_published_setting(tmp_path):
    study = composed(tmp_path / "params.yaml", "preset=paper")
    assert (study["prepare"]["img_px"], study["denoise"]["method"]) == (224, "bm3d")
    assert study["weights"]["source"] == "imagenet"
    assert study["models"]["resnet50"]["mode"] == "fine_tune"
    assert "mode" not in study["models"]["vgg16"]
    assert set(study["models"]) == {*GROUPS["all"], *BASELINES}


def test_the_default_study_is_the_whole_table_but_the_pretrained_encoders():
    assert list(load_settings(ROOT / "params.yaml").models) == [*GROUPS["all"], *BASELINES]


def test_the_pretrained_encoders_are_a_study_of_their_own(tmp_path):
    study = composed(tmp_path / "params.yaml", "model=@encoders", "prepare.img_px=224")
    assert list(study["models"]) == [*GROUPS["@encoders"], *BASELINES]
    assert not list(settings_findings(load_settings(tmp_path / "params.yaml")))


def test_a_weights_file_of_ones_own_is_watched(tmp_path):
    study = composed(tmp_path / "params.yaml", '+weights.files.resnet50="/a b/(1).h5"')
    assert study["backbones"]["resnet50"]["watch"] == "/a b/(1).h5"


@pytest.mark.parametrize("stage", ["evaluate", "explain", "external_scores"])
def test_what_is_made_of_all_models_depends_on_every_model(stage):
    folders = [dependency for dependency in definition(stage)["deps"] if "${panel" in dependency]
    assert folders == [f"models/${{panel[{slot}]}}" for slot in range(SLOTS)]


@pytest.mark.parametrize("stage", DVC_YAML)
def test_dvc_can_restore_a_stage_from_its_run_cache(stage):
    """DVC stores no run with an output that Git keeps, `{path: {cache: false}}`, unless it is a metric or a plot."""
    assert all(isinstance(out, str) for out in definition(stage).get("outs", []))


def test_dvcs_model_registry_names_the_chosen_model():
    with Repo(str(ROOT)) as repo:
        (artifact,) = repo.artifacts.read()["dvc.yaml"].values()
    assert artifact.type == "model" and artifact.path in definition("evaluate")["outs"]


def test_no_parameter_has_a_name_that_the_run_cache_ignores():
    files = [ROOT / "params.yaml", *ROOT.glob("conf/**/*.yaml")]
    assert not {"size", "nfiles"} & {key for file in files for key in keys(YAML(typ="safe").load(file))}


def test_every_setting_is_explained():
    text = (ROOT / "conf/config.yaml").read_text()
    for section, field in Settings.model_fields.items():
        fields = getattr(field.annotation, "model_fields", {})
        options = [option.alias or name for name, option in fields.items()]
        if section != "dataset":
            assert all(re.search(rf"^\s+{key}:.*", text, re.M) for key in options), section


@pytest.mark.parametrize("stage", DVC_YAML)
def test_a_stage_is_called_like_its_script(stage):
    assert definition(stage)["cmd"].startswith(f"PYTHONPATH=src python stages/{stage}.py")
    assert f"stages/{stage}.py" in definition(stage)["deps"]
    assert stage in STAGES


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_exactly_the_code_it_imports(stage):
    declared = {dep for dep in definition(stage)["deps"] if dep.startswith("src/") and "${" not in dep}
    modules = {path for path in imported(ROOT / f"stages/{stage}.py") if path.name != "__init__.py"}
    if stage in ROWS_AS_PARAMETERS:
        modules -= {PACKAGE / "registry.py"}
    assert {dependency_of(module, declared) for module in modules} == declared


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_at_most_a_dozen_places_in_the_code(stage):
    assert len([dep for dep in definition(stage)["deps"] if dep.startswith("src/")]) <= 12


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_declares_exactly_the_sections_it_reads(stage):
    script = (ROOT / f"stages/{stage}.py").read_text(encoding="utf-8")
    declared = {name.split(".")[0] for name in definition(stage).get("params", [])}
    fields = re.search(r"^class Settings\(StageSettings\):\n.*?\n\n\n", script, re.DOTALL | re.MULTILINE)
    read = set(re.findall(r"^    (\w+): ", fields[0], re.MULTILINE)) if fields else set()
    assert declared == read - {"compute"}  # where work is done changes no byte, so no stage runs again for it


def test_the_lock_is_from_this_code():
    """Hold in a fresh clone too, where the data that the lock names are missing."""
    with Repo(str(ROOT)) as repo:
        dependencies = [(stage.addressing, dep) for stage in repo.index.stages for dep in stage.deps]
        stale = [f"{stage}: {dep}" for stage, dep in dependencies if str(dep).startswith(CODE) and dep.status()]
    assert not stale, "dvc.lock is older than the code: run `dvc repro` and commit dvc.lock and metrics/"


def test_the_first_run_can_be_estimated():
    """`metrics/durations.json` is a copy of `.bonexray/durations.json` after a run of every stage."""
    assert set(read_durations(ROOT / COMMITTED).seconds) == set(YAML(typ="safe").load(ROOT / "dvc.lock")["stages"])
