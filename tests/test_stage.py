"""What a stage leaves in its log, however it ends."""

import json
import sys

import pytest
from conftest import Study

from bonexray.stage import ERROR_FILE

SCRIPT = """
import sys
from bonexray.base.config import StageSettings
from bonexray.base.errors import BonexrayError
from bonexray.stage import run_stage

def main(settings: StageSettings, ending: str) -> None:
    if ending == "refused":
        raise BonexrayError("the sun", expected="light", received=None, do="wait")
    print(1 / (ending == "finished"))

run_stage(main, StageSettings)
"""


def ended(study: Study, ending: str) -> tuple[int, str, str]:
    """Exit code, what was shown, and the log."""
    script = study.write("split.py", SCRIPT)
    done = study.run(sys.executable, str(script), ending)
    (log,) = study.folder.glob("logs/split@*/*.log")
    return done.returncode, done.stderr, log.read_text(encoding="utf-8")


def test_a_log_begins_with_the_settings_and_with_nothing_that_only_dvc_reads(study: Study) -> None:
    code, shown, log = ended(study, "finished")
    assert code == 0 and "split: ratios=" in shown and "denoise:" not in shown
    sections = [line.split()[2] for line in log.splitlines()]
    assert sections[:2] == ["phantom:", "split:"] and sections[-1] == "dataset:"
    assert not {"models:", "backbones:", "panel:"} & set(sections)


@pytest.mark.parametrize(("ending", "last"), [("refused", "BonexrayError"), ("broken", "ZeroDivisionError")])
def test_what_ended_a_stage_stands_in_its_log(study: Study, ending: str, last: str) -> None:
    code, shown, log = ended(study, ending)
    assert code == 1 and "Traceback" in log and last in log.splitlines()[-1]
    assert ("Traceback" in shown) == (ending == "broken")  # what was refused is one line


@pytest.mark.parametrize("ending", ["refused", "broken", "finished"])
def test_only_a_refused_stage_leaves_its_errors_fields_where_it_is_asked_to(study, ending, monkeypatch) -> None:
    target = study.folder / "error.json"
    monkeypatch.setenv(ERROR_FILE, str(target))
    ended(study, ending)
    fields = {"what": "the sun", "expected": "light", "received": "None", "do": "wait"}
    assert (json.loads(target.read_text()) if target.exists() else None) == (fields if ending == "refused" else None)
