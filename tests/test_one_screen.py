"""What DVC prints after one changed setting fits one screen of 200 columns, for one model and for all of them."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bonexray.aggregate.table import summary_of
from bonexray.base.files import read_json, write_json
from bonexray.composition import compose
from bonexray.data.paths import EXTERNAL_METRICS, SCORES
from bonexray.external.scoring import summary_of as external_summary_of
from bonexray.registry import BASELINES, GROUPS

ROOT = Path(__file__).parents[1]
COLUMNS = 200
STUDIES = {  # choice: the models, and the lines of a screen
    "model=small_cnn": (["small_cnn", *BASELINES], 50),
    "model=all": (
        [*GROUPS["all"], *BASELINES, *(f"ensemble_{kind}" for kind in ("mean", "weighted", "majority", "stacking"))],
        100,
    ),
}
ENDS = ("", "_low", "_high")
SHOW = re.search(r"^dvc (exp show .*)$", (ROOT / "docs/experiments.md").read_text(encoding="utf-8"), re.MULTILINE)[1]


def write_scores(models: list[str], value: float) -> None:
    """Write the files of metrics of a study whose first model is chosen; baselines keep their scores."""
    scores = {
        name: dict.fromkeys(("balanced_accuracy", "roc_auc"), 0.5 if name in BASELINES else value) for name in models
    }
    headline = {"model": models[0], "macro_f1": value, "roc_auc": value}
    headline |= {f"balanced_accuracy{end}": value + number / 100 for number, end in enumerate(ENDS)}
    trained = {name: own for name, own in scores.items() if not name.startswith("ensemble_")}
    write_json(SCORES, summary_of(headline, scores))
    write_json(EXTERNAL_METRICS / "other_site_scores.json", external_summary_of("other_site", trained))


def printed(*command: str) -> list[str]:
    """Return the lines that a command prints on a screen of `COLUMNS`."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "COLUMNS": str(COLUMNS), "PATH": path}
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout.splitlines()


@pytest.fixture
def study(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """A repository with the metrics of a study, committed; then a changed setting and its scores. Returns the lines."""
    models, lines = STUDIES[request.param]
    monkeypatch.chdir(tmp_path)
    compose(tmp_path / "params.yaml", ROOT / "conf", [request.param])
    for name in ("dvc.yaml", ".dvcignore", ".dvc/config"):
        Path(name).parent.mkdir(exist_ok=True)
        shutil.copyfile(ROOT / name, name)
    write_scores(models, 0.7)
    git = ["git", "-c", "user.name=tests", "-c", "user.email=tests@example.org"]
    for command in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-qm", "a study"]):
        printed(*git, *command)
    params = Path("params.yaml")
    params.write_text(params.read_text().replace("  epochs: 15\n", "  epochs: 16\n", 1))
    write_scores(models, 0.71)
    return lines


@pytest.mark.parametrize("study", STUDIES, indirect=True)
def test_what_dvc_prints_after_one_changed_setting_fits_one_screen(study: int) -> None:
    settings, scores = printed("dvc", "params", "diff"), printed("dvc", "metrics", "diff")
    assert [line.split()[1:] for line in settings[1:]] == [["train.epochs", "15", "16"]]
    assert len(scores) <= study and max(map(len, scores)) <= COLUMNS
    shown = printed("dvc", *shlex.split(SHOW), "--no-pager")
    assert len(shown) <= study and max(map(len, shown)) <= COLUMNS
    head, rows = shown[1], "\n".join(shown)
    assert "…" not in rows and not [line for line in shown if "external" in line], SHOW
    assert head.split() == [
        *("Experiment", "Created", *(f"balanced_accuracy{end}" for end in ENDS), "macro_f1", "roc_auc"),
        "train.epochs",
    ]
    assert "0.71" in rows and "16" in rows


def test_the_headline_comes_first_in_the_table_of_experiments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_scores(["small_cnn", *BASELINES], 0.7)
    assert list(read_json(SCORES))[:2] == ["chosen", "balanced_accuracy"]
    stages = [line.strip() for line in (ROOT / "dvc.yaml").read_text().splitlines() if line.startswith("  ")]
    assert stages.index("aggregate:") < stages.index("external_scores:")
