"""Stages in processes of their own: their environment, their output, and how they end."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from small_experiment import TINY

import bonexray
from bonexray import XRayClassifier
from bonexray.base.errors import BonexrayError
from bonexray.experiment import process

ROOT = Path(__file__).parents[1]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "study"


def test_a_stage_that_refuses_is_quoted_and_one_that_breaks_off_is_named(folder):
    XRayClassifier({**TINY, "dataset": "knee"}, folder)
    (folder / "data").mkdir(parents=True)
    shutil.copy(ROOT / "params.yaml", folder)
    with pytest.raises(BonexrayError) as refused:
        process.run_in(folder, "split", verbose=False)
    assert vars(refused.value) == {
        "what": "dataset.root",
        "expected": "a folder of images",
        "received": "no such folder: data/phantom/noisy",
        "do": "set dataset.root",
    }
    with pytest.raises(
        BonexrayError, match=r"the stage prepare: expected to finish, received exit code 1: FileNotFound"
    ) as broken:
        process.run_in(folder, "prepare", verbose=False)
    assert "Traceback" in broken.value.__notes__[0]


def test_a_stage_is_this_package_and_the_folders_own(monkeypatch, folder):
    monkeypatch.setenv("DVC_ROOT", "/somewhere/else")
    monkeypatch.setenv("PYTHONPATH", "more")
    seen = process.environment()
    assert "DVC_ROOT" not in seen
    assert seen["PYTHONPATH"] == os.pathsep.join([str(Path(bonexray.__file__).resolve().parents[1]), "more"])


def write_stage(folder: Path, name: str, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write a stage's script, which is run in the place of those of the package."""
    (folder / "stages").mkdir(parents=True)
    (folder / "stages" / f"{name}.py").write_text(script)
    monkeypatch.setattr(process, "resource_path", lambda resource: folder / resource)


REFUSING = """
from bonexray.base.config import StageSettings
from bonexray.base.errors import BonexrayError
from bonexray.stage import run_stage
def main(settings):
    raise BonexrayError("a: expected b", expected="c, received d; e", received="f\\ng", do="h: expected i, received j; k")
run_stage(main, StageSettings)
"""


def test_an_error_comes_back_whole_whatever_its_fields_say(folder, monkeypatch):
    XRayClassifier(TINY, folder).write_settings()
    write_stage(folder, "refuse", REFUSING, monkeypatch)
    with pytest.raises(BonexrayError) as refused:
        process.run_in(folder, "refuse", verbose=False)
    assert list(vars(refused.value).values()) == [
        "a: expected b",
        "c, received d; e",
        "f\ng",
        "h: expected i, received j; k",
    ]


def test_a_line_that_reads_like_an_error_is_none(folder, monkeypatch):
    write_stage(folder, "talk", "raise SystemExit('talk: a: expected b, received c; d')", monkeypatch)
    with pytest.raises(BonexrayError, match="the stage talk: expected to finish, received exit code 1: talk: a"):
        process.run_in(folder, "talk", verbose=False)


def test_what_a_stage_says_is_shown_without_what_tensorflow_says_of_the_machine(folder, monkeypatch, capsys):
    lines = ["I0000 00:00:1795256350.7  20920 port.cc:153] oneDNN custom operations are on.", "epoch  1  loss 1.2"]
    write_stage(folder, "talk", f"print('\\n'.join({lines!r}))\n", monkeypatch)
    process.run_in(folder, "talk")
    assert capsys.readouterr().err == "epoch  1  loss 1.2\n"
    process.run_in(folder, "talk", verbose=False)
    assert capsys.readouterr().err == ""


def test_an_interrupted_stage_ends_with_its_caller(folder):
    config = {**TINY, "phantom": {"patients": 100_000, "img_px": 64}}
    code = (
        f"from bonexray import XRayClassifier; XRayClassifier({config}, {str(folder)!r}).run_stage('phantom', 'cohort')"
    )
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True) as caller:
        try:
            partial = folder / "data/phantom.partial/noisy/normal"
            deadline = time.monotonic() + 60
            while not (partial.is_dir() and any(partial.iterdir())):
                assert caller.poll() is None and time.monotonic() < deadline
                time.sleep(0.05)
            caller.send_signal(signal.SIGINT)
            _, said = caller.communicate(timeout=30)
        finally:
            caller.kill()
    assert "KeyboardInterrupt" in said
    written = len(list(partial.iterdir()))
    time.sleep(0.5)
    assert len(list(partial.iterdir())) == written
