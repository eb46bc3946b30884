"""`bonexray repro`: the lines of DVC, the estimate, and a real pipeline that passes, fails, and is interrupted."""

import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bonexray.base.errors import BonexrayError
from bonexray.repro.durations import Durations, read_durations, words
from bonexray.repro.lines import reason, stage_and_state
from bonexray.repro.plan import Plan, announcement, make_plan

SOURCE = Path(__file__).resolve().parents[1] / "src"
COMMAND = [sys.executable, "-c", "import sys; sys.argv[0] = 'bonexray'; from bonexray.cli import main; main()", "repro"]


# The lines of DVC


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("Running stage 'train@vgg16':", ("train@vgg16", "ran")),
        ("Stage 'split' didn't change, skipping", ("split", "same")),
        ("'data/raw.dvc' didn't change, skipping", ("data/raw.dvc", "same")),
        ("Stage 'denoise' is cached - skipping run, checking out outputs", ("denoise", "cached")),
        ("Pulling data for stage: 'denoise'", ("denoise", "pulled")),
        ("Unable to pull data for stage: 'denoise'", None),
        ("Verifying data sources in stage: 'data/raw.dvc'", ("data/raw.dvc", "ran")),
        ("> PYTHONPATH=src python stages/split.py", None),
        ("Updating lock file 'dvc.lock'", None),
        ("the log of a stage that says: Running stage 'x':", None),
        ("", None),
    ],
)
def test_a_line_of_dvc_says_what_happens_to_which_stage(line: str, expected: tuple[str, str] | None) -> None:
    assert stage_and_state(line) == expected


FAILED = "ERROR: failed to reproduce 'x': failed to run: python x.py, exited with 1"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["Running stage 'x':", "> python x.py", "ValueError: no", FAILED], "ValueError: no"),
        (["Running stage 'x':", "> python x.py", "ValueError: no", "", FAILED, ""], "ValueError: no"),
        (["Running stage 'x':", "> python x.py", FAILED], FAILED.removeprefix("ERROR: ")),
        (["ERROR: unexpected error - no space"], "ERROR: unexpected error - no space"),
        ([], "no message"),
    ],
)
def test_the_reason_of_a_failure_is_the_last_line_of_the_stage_or_what_dvc_says(
    lines: list[str], expected: str
) -> None:
    assert reason(lines) == expected


# The estimate


KNOWN = Durations({"split": 4, "train@a": 100, "train@b": 200}, cores=2)


@pytest.mark.parametrize(
    ("stages", "here", "elsewhere", "expected"),
    [
        ({"split": "same", "train@a": "same"}, KNOWN, KNOWN, "all 2 stages are up to date"),
        (
            {"split": "same", "train@a": "cached"},
            KNOWN,
            KNOWN,
            "2 stages: 1 up to date, 1 from the cache; this takes seconds",
        ),
        (
            {"split": "same", "train@a": "run", "train@c": "run"},
            KNOWN,
            Durations(),
            "3 stages: 1 up to date, 2 to run; about 4 min, from earlier runs on this machine",
        ),
        (
            {"split": "run", "train@a": "remote"},
            Durations({"split": 4}, 8),
            KNOWN,
            "2 stages: 1 from the remote, or to run, 1 to run; no earlier run on this machine to estimate from; "
            "on another machine with 2 cores, about 2 min",
        ),
        (
            {"split": "run"},
            Durations(),
            Durations(),
            "1 stage: 1 to run; no earlier run on this machine to estimate from",
        ),
    ],
)
def test_the_announcement_says_what_will_be_done_and_how_long_it_takes(
    stages: dict[str, str], here: Durations, elsewhere: Durations, expected: str
) -> None:
    assert announcement(Plan(stages), here, elsewhere) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0, "0 s"), (89.4, "89 s"), (90, "2 min"), (5399, "1 h 30 min"), (540, "9 min")]
)
def test_a_duration_has_the_unit_that_fits(seconds: float, expected: str) -> None:
    assert words(seconds) == expected


# A real pipeline

DVC_YAML = """
stages:
  first:
    cmd: cp in.txt first.txt && echo "raw line of the stage"
    deps: [in.txt]
    outs: [first.txt]
  each:
    foreach: {a: 1, b: 2}
    do:
      cmd: sh each.sh ${key}
      deps: [first.txt, each.sh]
      outs: ['${key}.txt']
"""
PASSES = 'echo "$1" | cat first.txt - > "$1.txt"\n'
FAILS = f'test "$1" = a || {{ echo "b is refused" >&2; exit 3; }}\n{PASSES}'
FILES = {"dvc.yaml": DVC_YAML, "in.txt": "1\n", "each.sh": PASSES, ".gitignore": "logs/\n.bonexray/\n"}
REFUSES = f"""cat > refuse.py <<'END'
from bonexray.base.errors import BonexrayError
from bonexray.stage import _write_error
_write_error(BonexrayError("each.b", expected="a", received="b", do="correct it"))
raise SystemExit(1)
END
"{sys.executable}" refuse.py
"""


class Study:
    """A tiny repository of DVC with three stages."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = {key: value for key, value in os.environ.items() if not key.startswith("DVC_")}
        self.env |= {"PYTHONPATH": str(SOURCE), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}

    def create(self) -> None:
        """Write the files and begin a repository."""
        for name, text in FILES.items():
            (self.folder / name).write_text(text)
        for command in ("git init -q", "git config user.email a@b.c", "git config user.name a", "dvc init -q"):
            subprocess.run(command.split(), cwd=self.folder, env=self.env, check=True)

    def repro(self, *targets: str) -> tuple[int, str, str]:
        """Run the command without a terminal; return its exit code, standard output and standard error."""
        done = subprocess.run(
            [*COMMAND, *targets], cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=120
        )
        return done.returncode, done.stdout, done.stderr

    def start(self, **pipes: object) -> subprocess.Popen:
        return subprocess.Popen(COMMAND, cwd=self.folder, env=self.env, **pipes)

    @property
    def log(self) -> str:
        return max((self.folder / "logs/repro").iterdir()).read_text()


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    study = Study(tmp_path_factory.mktemp("template"))
    study.create()
    return study.folder


@pytest.fixture
def study(template: Path, tmp_path: Path) -> Study:
    shutil.copytree(template, tmp_path / "study")
    return Study(tmp_path / "study")


def test_stages_run_then_are_up_to_date_and_then_come_from_the_cache(study: Study) -> None:
    code, out, err = study.repro()
    assert code == 0
    assert out.startswith(
        "repro: 3 stages: 3 to run; no earlier run on this machine to estimate from\nrepro: 3 run, in"
    )
    assert re.fullmatch(r"1/3 first\n2/3 each@a\n3/3 each@b \(about \d+ s left\)\n", err)  # as long as each@a
    assert "raw line of the stage" in study.log and "raw line" not in out + err
    path = re.search(r"log: (logs/repro/log-\S+\.log)$", out, re.M)[1]
    assert (study.folder / path).is_file()
    recorded = read_durations(study.folder / ".bonexray/durations.json")
    assert set(recorded.seconds) == {"first", "each@a", "each@b"} and recorded.cores >= 1

    assert study.repro() == (0, "repro: all 3 stages are up to date\n", "")

    (study.folder / "first.txt").unlink()
    (study.folder / "b.txt").unlink()
    code, out, err = study.repro()
    assert code == 0
    assert out.startswith(
        "repro: 3 stages: 1 up to date, 2 from the cache; this takes seconds\nrepro: 1 up to date, 2 from"
    )
    assert err.splitlines() == ["1/3 first: from the cache", "3/3 each@b: from the cache"]

    (study.folder / "each.sh").write_text(f"{PASSES}# edited\n")
    code, out, _ = study.repro("each@a")
    assert code == 0 and "2 stages: 1 up to date, 1 to run; about" in out and "1 up to date, 1 run, in" in out


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (FAILS, "the stage each@b: expected to finish, received b is refused; see logs/repro/log-"),
        pytest.param(
            REFUSES, "each@a: each.b: expected a, received b; correct it; see logs/repro/log-", marks=pytest.mark.slow
        ),
    ],
)
def test_a_stage_that_fails_is_one_line_with_the_log(study: Study, script: str, message: str) -> None:
    (study.folder / "each.sh").write_text(script)
    code, out, err = study.repro()
    last = err.splitlines()[-1]
    assert code == 1 and last.startswith(f"bonexray: {message}")
    assert "exited with" in (study.folder / last.rsplit(" ")[-1]).read_text()
    assert "Traceback" not in out + err
    (study.folder / "each.sh").write_text(PASSES)
    assert study.repro()[0] == 0


def test_what_dvc_refuses_is_one_line(study: Study) -> None:
    code, out, err = study.repro("nothing")
    assert (code, out) == (1, "") and re.fullmatch(r"bonexray: dvc repro: expected .*'nothing'.*\n", err)


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)]
)
def test_an_interrupt_ends_the_stage_too_and_the_next_run_continues(
    study: Study, number: signal.Signals, code: int
) -> None:
    (study.folder / "each.sh").write_text(f"echo $$ > pid.tmp; exec sleep 60\n{PASSES}")
    pid = study.folder / "pid.tmp"
    process = study.start(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    eventually(lambda: pid.is_file() and pid.read_text().strip() != "")
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == code and "Traceback" not in out + err
    assert ("repro: interrupted; the same command continues" in err) == (code == 130)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)
    (study.folder / "each.sh").write_text(PASSES)
    code, out, _ = study.repro()
    assert code == 0 and "3 stages: 1 up to date, 2 to run" in out


def test_a_terminal_shows_one_bar(study: Study) -> None:
    ours, theirs = pty.openpty()
    process = study.start(stdout=theirs, stderr=theirs, stdin=theirs)
    os.close(theirs)
    shown = b""
    while True:
        try:
            chunk = os.read(ours, 4096)
        except OSError:  # closed at the other side
            break
        if not chunk:
            break
        shown += chunk
    os.close(ours)
    text = shown.decode()
    assert process.wait(60) == 0
    assert "each@b" in text and "3/3" in text and "━" in text
    assert "raw line of the stage" not in text and "Running stage" not in text


# A remote


@pytest.mark.slow
def test_a_clone_takes_what_the_remote_has_and_goes_on_without_it(study: Study, tmp_path: Path) -> None:
    def git(command: str) -> None:
        subprocess.run(command.split(), cwd=study.folder, env=study.env, check=True, capture_output=True)

    git(f"dvc remote add -d team {tmp_path / 'remote'}")
    assert study.repro()[0] == 0
    for command in ("dvc push", "git add -A", "git commit -qm all", f"git clone -q . {tmp_path / 'clone'}"):
        git(command)
    study.folder = tmp_path / "clone"
    code, out, _ = study.repro()
    assert code == 0 and "3 stages: 3 from the remote, or to run" in out and "3 from the remote, in" in out
    git(f"git clone -q . {tmp_path / 'other'}")
    study.folder = tmp_path / "other"
    git("dvc remote modify team url http://127.0.0.1:9/gone")
    code, out, _ = study.repro()
    assert code == 0 and "3 run, in" in out


def test_a_folder_without_dvc_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BonexrayError, match="dvc repro: expected a pipeline, received you are not inside of a DVC"):
        make_plan()


def test_a_copy_without_git_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".dvc").mkdir()
    with pytest.raises(BonexrayError, match="is not a git repository; run `git init`"):
        make_plan()
