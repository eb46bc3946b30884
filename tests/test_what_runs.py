"""Which stages run after an edit, by DVC's own status on a copy of the repository."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import networkx
import pytest
from dvc.repo import Repo

from bonexray.composition import compose
from bonexray.registry import BACKBONES, BASELINES, GROUPS, REGISTRY

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
            if str(dependency).startswith(("src/", "stages/", "params.yaml")) and dependency.status()
        }


@pytest.fixture(scope="module")
def later_stages(repository: Path) -> dict[str, set[str]]:
    """Return for each stage the stages that may run after it, itself included, if every output changes."""
    with Repo(str(repository)) as repo:
        graph = repo.index.graph
        return {stage.name: {later.name for later in {stage, *networkx.ancestors(graph, stage)}} for stage in graph}


@pytest.fixture
def edited_copy(repository: Path) -> Iterator[Path]:
    """Yield the copy, and undo what the test edits in it."""
    files = {path: path.read_bytes() for path in repository.rglob("*") if editable(path.relative_to(repository))}
    yield repository
    for path, content in files.items():
        if path.read_bytes() != content:
            path.write_bytes(content)


def editable(path: Path) -> bool:
    return path.parts[0] in ("src", "params.yaml") and path.suffix in (".py", ".html", ".yaml")


def kind(stage: str) -> str:
    return stage.split("@")[0]


def models_on(backbone: str, stage: str) -> set[str]:
    return {f"{stage}@{name}" for name, row in REGISTRY.items() if backbone in row.backbones}


EVERY = {
    "features": {f"features@{name}" for name in BACKBONES if name in GROUPS["all"]},
    "train": {f"train@{name}" for name in (*GROUPS["all"], *BASELINES)},
}
OTHER_SITE = {"external@other_site"}
SCORING = {
    "evaluate",
    "external_scores@other_site",
    "learning_curve",
    "aggregate",
    "subgroups",
    "clinical",
}
SCORED = {"evaluate", "external_scores", "learning_curve", "aggregate", "subgroups", "clinical", "report"}
TRAINED = {"train", "explain"} | SCORED
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
        {"aggregate", "subgroups", "report"},
    ),
    "a metric": (
        appended("src/bonexray/evaluate/metrics.py"),
        SCORING | {"explain"},
        SCORED | {"explain"},
    ),
    "an interval": (
        appended("src/bonexray/evaluate/bootstrap.py"),
        SCORING | {"explain"},
        SCORED | {"explain"},
    ),
    "a test of pairs": (
        appended("src/bonexray/aggregate/comparison.py"),
        {"learning_curve", "aggregate", "subgroups", "clinical"},
        {"learning_curve", "aggregate", "subgroups", "clinical", "report"},
    ),
    "a gap between subgroups": (appended("src/bonexray/subgroups/scores.py"), {"subgroups"}, {"subgroups", "report"}),
    "a question to features": (
        appended("src/bonexray/train/regression.py"),
        EVERY["train"] | {"external_scores@other_site", "learning_curve", "subgroups", "clinical"},
        TRAINED,
    ),
    "a filter": (
        appended("src/bonexray/denoise/filters.py"),
        {"denoise"} | OTHER_SITE,
        None,
    ),  # its output stays: nothing follows
    "the builder of a network from scratch": (
        appended("src/bonexray/builders/alexnet.py"),
        {"train@alexnet"},
        TRAINED,
    ),
    "the numbers of a baseline": (
        appended("src/bonexray/descriptors/texture.py"),
        {"train@texture"},
        TRAINED,
    ),
    "the builder of a backbone": (
        appended("src/bonexray/builders/vit_tiny.py"),
        {"features@vit_tiny"},
        {"features"} | TRAINED,
    ),
    "the builder of backbones outside the study": (
        appended("src/bonexray/builders/vision_transformer.py"),
        set(),
        set(),
    ),
    "the row of a backbone": (
        with_row("xception"),
        {"features@xception", "report"} | SCORING,
        {"features"} | TRAINED,
    ),
    "a default of `evaluate`": (
        appended("src/bonexray/evaluate/settings.py"),
        SCORING | {"explain"},
        SCORED | {"explain"},
    ),
    "a default of `train`": (
        appended("src/bonexray/train/settings.py"),
        EVERY["train"] | {"external_scores@other_site", "learning_curve", "subgroups", "clinical"},
        TRAINED,
    ),
    "a default of `features`": (appended("src/bonexray/features/settings.py"), EVERY["features"], None),
    "the columns of subgroups": (chosen("dataset.columns=[sex]"), {"split", "denoise", "subgroups", "report"}, None),
    "a default of `explain`": (appended("src/bonexray/explain/settings.py"), {"explain"}, {"explain", "report"}),
    "a default of `split`": (appended("src/bonexray/split/settings.py"), {"split"} | OTHER_SITE, None),
    "a default of `phantom`": (
        appended("src/bonexray/phantom/settings.py"),
        {"phantom@cohort", "phantom@other_site"},
        None,
    ),
    "`fine_tune.epochs` while every mode is frozen": (chosen("fine_tune.epochs=3"), set(), set()),
    "`mode` of one model": (
        chosen("+modes.xception=fine_tune"),
        {"train@xception", "explain", "evaluate", "external_scores@other_site"},
        TRAINED,
    ),
    "an external cohort is added": (
        chosen("+external.b.root=data/b"),
        {"external@b", "external_scores@b", "report"},
        None,  # both are new
    ),
    "logging, the command line, serving, tuning": (
        appended(
            "src/bonexray/tracking/sync.py",
            "src/bonexray/cli/study.py",
            "src/bonexray/serving/predictor.py",
            "src/bonexray/tuning/search.py",
            "src/bonexray/experiment/classifier.py",
        ),
        set(),
        set(),
    ),
}


def test_the_lock_is_from_this_code(repository: Path) -> None:
    assert not changed(repository), "run `dvc repro` and commit dvc.lock"


@pytest.mark.parametrize("edited", EDITS)
def test_only_what_an_edit_changes_runs(edited: str, edited_copy: Path, later_stages: dict[str, set[str]]) -> None:
    edit, expected, may_run = EDITS[edited]
    edit(edited_copy)
    stages = changed(edited_copy)
    assert stages == expected
    if may_run is not None:
        assert {kind(later) for stage in stages for later in later_stages[stage]} == may_run


def test_a_changed_backbone_reaches_the_models_on_it_and_no_others(later_stages: dict[str, set[str]]) -> None:
    later = later_stages["features@xception"]
    assert {name for name in later if kind(name) == "train"} == models_on("xception", "train")
