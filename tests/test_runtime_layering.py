"""Which module may import which: one direction, and the heavy libraries in one place each."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "bonexray"
MODULES = sorted(PACKAGE.rglob("*.py"))
STAGES = sorted((ROOT / "stages").glob("*.py"))
NAMES = [path.relative_to(PACKAGE).as_posix() for path in MODULES]

# The packages in the order of the flow. Each may import `base`, the modules beside the
# packages that are no entrance, and the packages that it names.
MAY_IMPORT = {
    "base": set(),
    "images": set(),
    "data": set(),
    "regions": set(),
    "dataset": {"data", "regions"},
    "phantom": set(),
    "split": {"data", "dataset", "images", "regions", "figures"},
    "denoise": {"data", "images"},
    "prepare": {"data", "images", "regions"},
    "augment": set(),
    "builders": set(),
    "descriptors": set(),
    "backbones": {"data"},
    "networks": {"data", "backbones"},
    "features": {"data", "augment", "backbones"},
    "train": {"data", "regions", "augment", "backbones", "networks", "descriptors"},
    "evaluate": {"data", "dataset"},
    "aggregate": {"data", "evaluate", "networks"},
    "learning_curve": {"data", "networks", "train", "evaluate", "aggregate"},
    "explain": {"data", "regions", "backbones", "networks", "evaluate"},
    "external": {
        "data",
        "dataset",
        "images",
        "split",
        "backbones",
        "networks",
        "train",
        "evaluate",
    },
    "subgroups": {"data", "train", "evaluate", "aggregate"},
    "clinical": {"aggregate", "train"},
    "figures": {"data", "evaluate", "aggregate", "explain"},
    "results": {"data", "evaluate", "aggregate"},
    "report": {"data", "figures", "results"},
    "serving": {
        "data",
        "dataset",
        "images",
        "denoise",
        "prepare",
        "networks",
        "explain",
        "train",
        "evaluate",
        "external",
    },
    "tuning": {"data", "augment", "features", "networks", "train"},
    "federate": {"data", "networks", "train", "evaluate", "aggregate", "learning_curve"},
}
PACKAGES = set(MAY_IMPORT)
ENTRANCES = {"check", "stage", "study", "tracking", "experiment", "cli"}  # where a user or a stage script starts


def imported(path: Path) -> set[str]:
    """Full names of all modules that a file imports, inside functions too."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {str(node.module)} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def libraries(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imported(path)}


def unit(path: Path) -> str:
    """The package or top-level module that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def units_imported(path: Path) -> set[str]:
    parts = (name.split(".") for name in imported(path) if name.startswith("bonexray."))
    return {part[1] for part in parts} & ({unit(module) for module in MODULES})


PARTS = {unit(module) for module in MODULES} | {f"{unit(m)}.settings" for m in MODULES if m.name == "settings.py"}


def importers(library: str) -> set[str]:
    return {name for name, path in zip(NAMES, MODULES, strict=True) if library in libraries(path)}


def test_the_modules_are_found() -> None:
    assert {"base/config/params.py", "images/dicom.py", "runtime.py", "tracking/store.py"} <= set(NAMES)
    assert {unit(path) for path in MODULES} >= PACKAGES
    assert units_imported(PACKAGE / "split" / "settings.py") == {"base"}


def test_tensorflow_is_imported_by_the_runtime_the_optimisers_and_the_exports_only() -> None:
    assert "runtime.py" in importers("tensorflow")
    assert importers("tensorflow") <= {"runtime.py", "train/fused.py", "serving/formats.py"}


def test_mlflow_is_imported_by_tracking_only() -> None:
    assert {name.split("/")[0] for name in importers("mlflow")} == {"tracking"}


def test_optuna_is_imported_by_the_search_only() -> None:
    assert {name.split("/")[0] for name in importers("optuna")} == {"tuning"}


def test_flower_is_imported_by_the_federation_only() -> None:
    assert {name.split("/")[0] for name in importers("flwr")} == {"federate"}


def test_highdicom_is_imported_by_dicom_answers_only() -> None:
    assert {str(Path(name).parent) for name in importers("highdicom")} == {"serving/dicom"}


def test_stage_scripts_import_neither() -> None:
    assert [path.name for path in STAGES if libraries(path) & {"tensorflow", "mlflow"}] == []


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_imports_point_one_way(path: Path) -> None:
    own = unit(path)
    if own in MAY_IMPORT:
        allowed = {"base"} | MAY_IMPORT[own] | ({"study"} if own in ("serving", "tuning", "federate") else set())
        assert units_imported(path) & (PACKAGES | ENTRANCES) - {own} <= allowed


def part(name: str) -> str:
    """Return what a module belongs to; the settings of a package are a part of their own, which `study` collects."""
    first, *rest = name.split(".")
    return f"{first}.settings" if rest[:1] == ["settings"] else first


def test_no_two_parts_import_each_other_in_a_circle() -> None:
    graph: dict[str, set[str]] = {}
    for path in MODULES:
        own = part(".".join(path.relative_to(PACKAGE).with_suffix("").parts))
        modules = {name.removeprefix("bonexray.") for name in imported(path) if name.startswith("bonexray.")}
        needs = {part(name) for name in modules if part(name) in PARTS}
        graph.setdefault(own, set()).update(needs - {own, "__init__"})
    while graph:
        free = {name for name, needs in graph.items() if not needs & set(graph)}
        assert free, f"a circle among {', '.join(sorted(graph))}"
        graph = {name: needs for name, needs in graph.items() if name not in free}


def test_nothing_imports_the_command_line() -> None:
    others = [path for path in [*MODULES, *STAGES] if path.parent != PACKAGE / "cli"]
    assert [path.name for path in others if "bonexray.cli" in imported(path)] == []


def test_stages_are_imported_by_nobody() -> None:
    scripts = {"stages"} | {path.stem for path in STAGES}
    assert [path.name for path in [*MODULES, *STAGES] if libraries(path) & scripts] == []
    assert [name for path in [*MODULES, *STAGES] for name in imported(path) if name.startswith("bonexray.stages")] == []


@pytest.mark.parametrize(
    "stage",
    [
        "split",
        "denoise",
        "prepare",
        "train",
        "evaluate",
        "learning_curve",
        "aggregate",
        "subgroups",
        "clinical",
        "report",
    ],
)
def test_stages_that_only_count_load_no_network_library(stage: str) -> None:
    asked = f"import runpy, sys; runpy.run_path({str(ROOT / 'stages' / f'{stage}.py')!r}); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True).stdout.split()
    assert "numpy" in loaded
    assert not {"tensorflow", "keras", "keras_hub", "jax"} & set(loaded)
