"""Which stages run after an edit, by DVC's own status on a copy of the repository."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import networkx
import pytest
from dvc.repo import Repo

from bonexray.composition import compose
from bonexray.registry import BACKBONES, REGISTRY

ROOT = Path(__file__).parents[1]
Edit = Callable[[Path], None]


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of all that Git knows, as it is here, with the data missing as in a fresh clone."""
    copy = tmp_path_factory.mktemp("repository") / "copy"
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, files.split("\0")):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, copy / name)
    subprocess.run(["git", "init", "-q"], cwd=copy, check=True)
    return copy


def appended(*files: str, text: str = "\n# edited\n") -> Edit:
    """Return an edit that appends a line to files."""

    def edit(folder: Path) -> None:
        for file in files:
            path = folder / file
            path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")

    return edit


def chosen(*overrides: str) -> Edit:
    """Return an edit that composes params.yaml with other choices."""
    return lambda folder: compose(folder / "params.yaml", folder / "conf", overrides)


def with_row(name: str) -> Edit:
    """Return an edit of one backbone's row in the table of models, as `bonexray registry` writes it to params.yaml."""

    def edit(folder: Path) -> None:
        params = folder / "params.yaml"
        text = params.read_text(encoding="utf-8")
        convention = BACKBONES[name].convention
        assert f"{name}:\n    row: " in text
        before, after = text.split(f"{name}:\n    row: ", 1)
        params.write_text(f"{before}{name}:\n    row: {after.replace(convention, 'other', 1)}", encoding="utf-8")
        appended("src/bonexray/registry.py")(folder)

    return edit


def changed(folder: Path) -> set[str]:
    """Return the stages whose code or settings differ from those in dvc.lock."""
    with Repo(str(folder)) as repo:
        return {
            stage.name
            for stage in repo.index.stages
            for dependency in stage.deps
            if (str(dependency).startswith(("src/", "stages/", "params.yaml"))) and dependency.status()
        }


def downstream(folder: Path, stages: set[str]) -> set[str]:
    """Return the kinds of stages that may run after some stages, these included, if every output changes."""
    with Repo(str(folder)) as repo:
        graph = repo.index.graph
        first = [stage for stage in graph if stage.name in stages]
        later = {stage for one in first for stage in networkx.ancestors(graph, one)}
        return {kind(stage.name) for stage in {*first, *later}}


def kind(stage: str) -> str:
    return stage.split("@")[0]


def models_on(backbone: str, stage: str) -> set[str]:
    return {f"{stage}@{name}" for name, row in REGISTRY.items() if backbone in row.backbones}


EVERY = {
    "features": {f"features@{name}" for name in BACKBONES},
    "train": {f"train@{name}" for name in REGISTRY},
    "explain": {f"explain@{name}" for name in REGISTRY},
}
# What is edited, the edit, the stages whose code or settings it changes, and the kinds of stages that may run then.
EDITS = {
    "a sentence of the report": (appended("src/bonexray/report/text.py"), {"report"}, {"report"}),
    "the style of the report": (
        appended("src/bonexray/report/templates/report.html", text="\n"),
        {"report"},
        {"report"},
    ),
    "the drawing of one figure of the comparison": (
        appended("src/bonexray/figures/comparison/pairs.py"),
        {"aggregate"},
        {"aggregate", "report"},
    ),
    "a metric": (
        appended("src/bonexray/evaluate/metrics.py"),
        {"evaluate", "aggregate"},
        {"evaluate", "aggregate", "report"},
    ),
    "an interval": (
        appended("src/bonexray/evaluate/bootstrap.py"),
        {"evaluate", "aggregate"},
        {"evaluate", "aggregate", "report"},
    ),
    "a test of pairs": (appended("src/bonexray/aggregate/comparison.py"), {"aggregate"}, {"aggregate", "report"}),
    "a filter": (appended("src/bonexray/denoise/filters.py"), {"denoise"}, None),  # its output stays: nothing follows
    "the builder of a network from scratch": (
        appended("src/bonexray/builders/alexnet.py"),
        {"train@alexnet"},
        {"train", "explain", "evaluate", "aggregate", "report"},
    ),
    "the builder of a backbone": (
        appended("src/bonexray/builders/vit_tiny.py"),
        {"features@vit_tiny"},
        {"features", "train", "explain", "evaluate", "aggregate", "report"},
    ),
    "the row of a backbone": (
        with_row("xception"),
        {"features@xception", "evaluate", "aggregate", "report"},
        {"features", "train", "explain", "evaluate", "aggregate", "report"},
    ),
    "a default of `evaluate`": (
        appended("src/bonexray/evaluate/settings.py"),
        {"evaluate", "aggregate"},
        {"evaluate", "aggregate", "report"},
    ),
    "a default of `train`": (
        appended("src/bonexray/train/settings.py"),
        EVERY["train"],
        {"train", "explain", "evaluate", "aggregate", "report"},
    ),
    "a default of `features`": (appended("src/bonexray/features/settings.py"), EVERY["features"], None),
    "a default of `explain`": (appended("src/bonexray/explain/settings.py"), EVERY["explain"], {"explain", "report"}),
    "a default of `split`": (appended("src/bonexray/split/settings.py"), {"split"}, None),
    "a default of `phantom`": (appended("src/bonexray/phantom/settings.py"), {"phantom@cohort"}, None),
    "`fine_tune.epochs` while every mode is frozen": (chosen("fine_tune.epochs=3"), set(), set()),
    "`mode` of one model": (
        chosen("+modes.xception=fine_tune"),
        {"train@xception", "evaluate"},
        {"train", "explain", "evaluate", "aggregate", "report"},
    ),
    "logging, the command line, serving, tuning": (
        appended(
            "src/bonexray/tracking/sync.py",
            "src/bonexray/cli.py",
            "src/bonexray/serving/predictor.py",
            "src/bonexray/tuning/search.py",
            "src/bonexray/experiment/classifier.py",
        ),
        set(),
        set(),
    ),
}


@pytest.mark.parametrize("edited", EDITS)
def test_only_what_an_edit_changes_runs(edited: str, repository: Path, tmp_path: Path) -> None:
    edit, expected, may_run = EDITS[edited]
    folder = tmp_path / "edited"
    shutil.copytree(repository, folder)
    assert not changed(folder), "dvc.lock is older than the code: run `dvc repro`"
    edit(folder)
    stages = changed(folder)
    assert stages == expected
    if may_run is not None:
        assert downstream(folder, stages) == may_run


def test_a_changed_backbone_reaches_the_models_on_it_and_no_others(repository: Path) -> None:
    with Repo(str(repository)) as repo:
        graph = repo.index.graph
        features = next(stage for stage in graph if stage.name == "features@xception")
        later = {stage.name for stage in networkx.ancestors(graph, features)}
    assert {name for name in later if kind(name) == "train"} == models_on("xception", "train")
    assert {name for name in later if kind(name) == "explain"} == models_on("xception", "explain")
