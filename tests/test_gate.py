"""The gate of a pull request: reasons for failure, notes, and metrics of two commits."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bonexray.base.errors import BonexrayError
from bonexray.cli import main
from bonexray.results.gate import Results, Verdict, gate_page, judge

SCORES = {"balanced_accuracy": 0.7, "balanced_accuracy_low": 0.55, "balanced_accuracy_high": 0.85}
HEADLINE = {"model": "vgg16", "dataset": "phantom", "n": 36, "leak_suspect": False, **SCORES}
MODELS = {"vgg16": {"collapsed": 0}, "xception": {"collapsed": 0}}
DATA = {"leak_suspect": False, "test": {"normal": 18, "osteoporosis": 18}}


def results(name: str = "main", models: dict | None = None, split_sha: str | None = "a", **headline: object) -> Results:
    return Results(name, {**HEADLINE, **headline}, models or MODELS, DATA, split_sha)


def verdict(here: Results, tolerance: float | None = None) -> Verdict:
    return judge(here, results(), tolerance)


# Failures


def test_the_same_numbers_pass():
    assert verdict(results("the working tree"), tolerance=0).failures == ()


def test_a_score_below_the_other_interval_fails():
    (why,) = verdict(results(balanced_accuracy=0.54)).failures
    assert "of 0.540 is below the interval at `main`, which begins at 0.550" in why
    assert verdict(results(balanced_accuracy=0.55)).failures == ()


def test_a_fall_beyond_the_tolerance_fails():
    (why,) = verdict(results(balanced_accuracy=0.66), tolerance=0.03).failures
    assert "falls by 0.040" in why and "tolerance of 0.03" in why
    assert verdict(results(balanced_accuracy=0.68), tolerance=0.02).failures == ()


def test_an_undefined_score_fails():
    assert "not defined" in verdict(results(balanced_accuracy=None)).failures[0]
    assert "not defined" in verdict(results(balanced_accuracy=float("nan"))).failures[0]


def test_a_newly_collapsed_model_fails():
    collapsed = {**MODELS, "xception": {"collapsed": 1}}
    (why,) = verdict(results(models=collapsed)).failures
    assert "Xception has collapsed" in why
    assert judge(results(models=collapsed), results(models=collapsed)).failures == ()


def test_a_new_model_that_collapses_fails():
    (why,) = verdict(results(models={**MODELS, "resnet50": {"collapsed": 1}})).failures
    assert "ResNet50, a new model, has collapsed" in why


@pytest.mark.parametrize("where", ["headline", "data"])
def test_a_new_leak_fails_and_an_old_one_is_noted(where: str):
    suspect = Results(
        "here",
        **{"headline": HEADLINE, "models": MODELS, "data": DATA} | {where: {**HEADLINE, **DATA, "leak_suspect": True}},
    )
    assert "suspects a leak" in judge(suspect, results()).failures[0]
    known = judge(suspect, suspect)
    assert known.failures == () and "suspected at both revisions" in " ".join(known.notes)


@pytest.mark.parametrize("tolerance", [-0.1, 1.5, float("nan"), float("inf")])
def test_an_invalid_tolerance_is_refused(tolerance: float):
    with pytest.raises(BonexrayError, match="number from 0 to 1"):
        verdict(results(), tolerance)


@given(st.floats(0, 1), st.floats(0, 1), st.none() | st.floats(0, 1))
def test_a_higher_score_never_worsens_the_verdict(one: float, two: float, tolerance: float | None):
    low, high = sorted((one, two))
    if verdict(results(balanced_accuracy=low), tolerance).failures == ():
        assert verdict(results(balanced_accuracy=high), tolerance).failures == ()


# Notes


def test_a_different_split_is_noted():
    assert "other test images" in " ".join(verdict(results(split_sha="b")).notes)
    assert "other test images" in " ".join(verdict(results(split_sha=None, n=40)).notes)
    assert "other test images" not in " ".join(verdict(results(split_sha=None)).notes)


def test_removed_models_and_a_wide_interval_are_noted():
    notes = " ".join(verdict(results(models={"vgg16": {"collapsed": 0}})).notes)
    assert "No longer in the study: Xception." in notes
    assert "allows a fall of 0.150" in notes


def test_different_confidence_levels_are_noted():
    other = results("main", confidence=0.9)
    assert "confidence levels differ: 95 % here, 90 % at `main`" in " ".join(
        judge(results(confidence=0.95), other).notes
    )
    alike, unknown = judge(results(confidence=0.9), other), verdict(results(confidence=0.9))
    assert not [note for note in (*alike.notes, *unknown.notes) if "confidence" in note]


def test_a_new_shortcut_is_noted():
    assert "brightness, contrast and sharpness of the picture alone" in " ".join(
        verdict(results(shortcut_balanced_accuracy=0.69)).notes
    )


def test_a_revision_without_intervals_is_noted():
    other = Results("old", {"model": "vgg16", "balanced_accuracy": 0.7}, {"vgg16": {}}, {})
    found = judge(results(), other)
    assert found.failures == () and "no balanced accuracy with an interval" in found.notes[0]


def test_page_escapes_names():
    here, other = results("the working tree", dataset="knee|<b>", model="other`s | net"), results("ma|in`")
    page = gate_page(here, other, judge(here, other))
    assert page.startswith("### Gate: passed against `ma/in/`")
    rows = [line for line in page.splitlines() if line.startswith("|")]
    assert {line.replace("\\|", "").count("|") for line in rows} == {5}
    assert "<b>" not in page.replace("\\<b\\>", "")
    assert "0.700 (0.550 to 0.850)" in page


# On two commits


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a repository with a study in a subfolder, in a single commit."""
    git(tmp_path, "init", "-q", "-b", "main")
    git(tmp_path, "config", "user.email", "tests@example.org")
    git(tmp_path, "config", "user.name", "tests")
    write(tmp_path / "study", HEADLINE, MODELS)
    commit(tmp_path)
    return tmp_path


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True)


def commit(folder: Path) -> None:
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "a study")


def write(study: Path, headline: dict, models: dict) -> None:
    (study / "metrics").mkdir(parents=True, exist_ok=True)
    for name, content in (("headline", headline), ("models", models), ("ensembles", {}), ("data", DATA)):
        (study / f"metrics/{name}.json").write_text(json.dumps(content))
    lock = "schema: '2.0'\nstages:\n  split:\n    outs:\n    - path: data/split/manifest.csv\n      md5: {}\n"
    (study / "dvc.lock").write_text(lock.format(f"{headline['n']:032d}"))


@pytest.fixture
def gate(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Return a function that runs the gate and returns its exit code, output and error output."""
    monkeypatch.chdir(repository / "study")

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["bonexray", "gate", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code, *capsys.readouterr()

    return run


Gate = Callable[..., tuple[int, str, str]]


def test_command_compares_the_working_tree_with_a_commit(repository: Path, gate: Gate):
    code, page, _ = gate("--against", "main")
    assert code == 0 and "Gate: passed against `main`" in page
    write(repository / "study", {**HEADLINE, "balanced_accuracy": 0.6, "n": 40}, MODELS)
    assert gate("--against", "main")[0] == 0
    code, page, _ = gate("--against", "main", "--tolerance", "0.02")
    assert code == 1 and "falls by 0.100" in page and "another split" in page
    commit(repository)
    assert gate("--against", "HEAD", "--tolerance", "0")[0] == 0
    assert "Gate: failed against `HEAD~1`" in gate("--against", "HEAD~1", "--tolerance", "0")[1]


def test_a_fall_on_an_external_cohort_fails_and_both_scores_are_shown(repository: Path, gate: Gate):
    study = repository / "study"
    (study / "params.yaml").write_text("external: {b: {root: data/b}, new: {root: data/c}}\n")
    (study / "metrics/external").mkdir()
    path = study / "metrics/external/b.json"
    path.write_text(json.dumps({"models": {"vgg16": SCORES, "xception": {**SCORES, "balanced_accuracy": 0.1}}}))
    commit(repository)
    code, page, _ = gate("--against", "main")
    assert code == 0 and "| on b | 0.700 (0.550 to 0.850) | 0.700 (0.550 to 0.850) | +0.000 |" in page
    path.write_text(json.dumps({"models": {"vgg16": {**SCORES, "balanced_accuracy": 0.5}}}))
    code, page, _ = gate("--against", "main")
    assert code == 1 and "external cohort b, 0.500, is below the interval at `main`, which begins at 0.550" in page


@pytest.mark.parametrize("revision", ["nowhere", "--output=x", "HEAD:study"])
def test_an_unknown_revision_is_refused_in_one_line(gate: Gate, revision: str):
    code, page, complaint = gate(f"--against={revision}")
    assert (code, page) == (1, "")
    assert "expected a revision that Git knows" in complaint and len(complaint.splitlines()) == 1


def test_a_shallow_clone_says_how_to_get_the_rest(
    repository: Path, gate: Gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (repository / "study/metrics/more.json").write_text("{}")
    commit(repository)
    git(tmp_path, "clone", "-q", "--depth", "1", repository.as_uri(), "shallow")
    monkeypatch.chdir(tmp_path / "shallow/study")
    assert "`git fetch --unshallow`" in gate("--against", "HEAD~1")[2]


def test_a_missing_study_and_invalid_metrics_are_refused_in_one_line(repository: Path, gate: Gate):
    git(repository, "rm", "-q", "--cached", "study/metrics/models.json")
    git(repository, "commit", "-qm", "no models")
    assert gate("--against", "HEAD")[2].startswith("bonexray: metrics/models.json in HEAD: expected a finished study")
    (repository / "study/metrics/headline.json").write_text("<<<<<<< HEAD")
    assert gate("--against", "main~1")[2].startswith(
        "bonexray: metrics/headline.json in the working tree: expected JSON"
    )
