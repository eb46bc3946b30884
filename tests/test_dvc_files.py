"""dvc.yaml, dvc.lock, conf/ and params.yaml against the code they describe."""

import ast
import re
from pathlib import Path

import pytest
from dvc.repo import Repo
from dvc.utils.hydra import compose_and_dump
from ruamel.yaml import YAML

from bonexray.augment.settings import Augment
from bonexray.registry import FINE_TUNE, FROZEN, FULL, REGISTRY
from bonexray.study import Settings, load_settings
from bonexray.train.settings import Train
from bonexray.wiring import NOTHING, registry_files

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
                within = ROOT.joinpath("src", *parts[:-1])
                candidates = [within / f"{parts[-1]}.py", within.with_suffix(".py"), within / "__init__.py"]
                for module in candidates:
                    if (
                        parts[0] == "bonexray"
                        and module.exists()
                        and not VIEWS & set(names_of(module))
                        and module not in found
                    ):
                        found.add(module)
                        waiting.append(module)
    return found


def names_of(module: Path) -> list[str]:
    """Of the module and the packages that it is in."""
    return [*module.relative_to(ROOT / "src/bonexray").parts[:-1], module.stem]


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


def test_what_follows_from_the_registry_is_as_it_would_be_written():
    stale = [path.name for path, text in registry_files(ROOT).items() if path.read_text(encoding="utf-8") != text]
    assert not stale, "run `bonexray registry`"
    assert {path.stem for path in (ROOT / "conf/model").glob("*.yaml")} == {*REGISTRY, "all"}


@pytest.mark.parametrize("name", REGISTRY)
def test_a_study_of_one_names_its_files(tmp_path, name):
    study = composed(tmp_path / "params.yaml", f"model={name}")
    assert list(study["models"]) == [name]
    assert study["backbones"] == {b: {"watch": "src/bonexray/models"} for b in REGISTRY[name].backbones}
    assert study["curves"] == {f"models/{name}/history.csv": ["loss", "val_loss"]}
    assert study["confusion"] == {f"reports/models/{name}/results_{name}.csv": "prediction"}
    assert study["evaluated"] == {**dict.fromkeys(REGISTRY, NOTHING), name: f"metrics/models/{name}.json"}


@pytest.mark.parametrize("mode", [FROZEN, FINE_TUNE, FULL])
def test_a_model_reads_what_its_mode_needs_and_nothing_else(tmp_path, mode):
    study = composed(tmp_path / "params.yaml", f"train.mode={mode}")["models"]
    for name, row in REGISTRY.items():
        backbones = row.backbones
        from_images, features = mode != FROZEN or not backbones, mode != FULL
        assert study[name]["images"] == ("data/prepared" if from_images else NOTHING)
        expected = [f"data/features/{b}" if features else NOTHING for b in backbones] or [NOTHING]
        assert study[name]["features"] == expected
        expected = [f"weights/{b}.weights.h5" if from_images else NOTHING for b in backbones] or [NOTHING]
        assert study[name]["weights"] == expected
        assert study[name]["mode"] == (mode if backbones else "scratch")


def test_one_model_may_have_a_mode_of_its_own(tmp_path):
    study = composed(tmp_path / "params.yaml", "+modes.resnet50=fine_tune")["models"]
    assert study["resnet50"]["mode"] == "fine_tune"
    assert study["resnet50"]["weights"] == ["weights/resnet50.weights.h5"]
    assert {row["mode"] for name, row in study.items() if name != "resnet50"} == {"frozen", "scratch"}


def test_the_paper_preset_is_the_published_setting(tmp_path):
    study = composed(tmp_path / "params.yaml", "preset=paper")
    assert (study["prepare"]["img_px"], study["denoise"]["method"]) == (224, "bm3d")
    assert study["weights"]["source"] == "imagenet"
    assert study["models"]["resnet50"]["mode"] == "fine_tune"
    assert study["models"]["vgg16"]["mode"] == "frozen"
    assert set(study["models"]) == set(REGISTRY)


def test_training_is_anew_for_every_setting_that_it_reads_and_no_other():
    declared = set(definition("train")["params"])
    train = {f"train.{key}" for key in Train.model_fields} - {"train.mode"}
    augment = {f"augment.{key}" for key in Augment.model_fields} - {"augment.copies"}
    assert declared == {"models.${key}"} | train | augment


def test_the_default_study_is_the_whole_registry():
    assert set(load_settings(ROOT / "params.yaml").models) == set(REGISTRY)


def test_a_weights_file_of_ones_own_is_watched(tmp_path):
    study = composed(tmp_path / "params.yaml", '+weights.files.resnet50="/a b/(1).h5"')
    assert study["backbones"]["resnet50"]["watch"] == "/a b/(1).h5"


@pytest.mark.parametrize(
    ("stage", "kind"),
    [
        ("aggregate", "evaluated"),
        ("aggregate", "trained"),
        ("report", "trained"),
        ("report", "drawn"),
        ("report", "explained"),
    ],
)
def test_what_is_made_of_all_models_depends_on_every_model(stage, kind):
    lines = [dep for dep in DVC_YAML[stage]["deps"] if f"${{{kind}." in dep]
    assert lines == [f"${{{kind}.{name}}}" for name in REGISTRY]


def test_no_parameter_has_a_name_that_the_run_cache_ignores():
    files = [ROOT / "params.yaml", *ROOT.glob("conf/**/*.yaml")]
    assert not {"size", "nfiles"} & {key for file in files for key in keys(YAML(typ="safe").load(file))}


def test_every_section_of_the_settings_is_explained():
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
    needed = {as_dependency(module) for module in imported(ROOT / f"stages/{stage}.py")}
    declared = {dep for dep in definition(stage)["deps"] if dep.startswith("src/")}
    assert declared == needed


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_declares_exactly_the_sections_it_reads(stage):
    script = (ROOT / f"stages/{stage}.py").read_text(encoding="utf-8")
    read = set(re.findall(r"settings\.(\w+)", script)) & set(Settings.model_fields)
    read -= {"compute"}  # where work is done changes no byte, so no stage runs anew for it
    assert {name.split(".")[0] for name in definition(stage).get("params", [])} == read


def test_the_lock_is_from_this_code():
    """Holds in a fresh clone too, where the data that the lock names are not there."""
    with Repo(str(ROOT)) as repo:
        deps = [(stage.addressing, dep) for stage in repo.index.stages for dep in stage.deps]
        stale = [f"{stage}: {dep}" for stage, dep in deps if str(dep).startswith(CODE) and dep.status()]
    assert not stale, "dvc.lock is older than the code: run `dvc repro` and commit dvc.lock and metrics/"
