"""`dvc repro` as a child process, shown as one bar; its lines go to a log."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import TextIO

from bonexray.base.errors import BonexrayError
from bonexray.base.repository import main_repository
from bonexray.logs import ERROR_FILE, log_root
from bonexray.repro.durations import COMMITTED, RECORDED, Durations, read_durations, words
from bonexray.repro.lines import State, reason, stage_and_state
from bonexray.repro.plan import OUTCOMES, Plan, announcement, counts, make_plan
from bonexray.repro.show import Shown, show

SECONDS_TO_END, LINES = 30, 60  # allowed after an interrupt; last lines kept for an error
UNREACHABLE = "the remote did not answer; continuing without it"


def reproduce(targets: Sequence[str], say: Callable[[str], None]) -> None:
    """Bring stages up to date with `dvc repro`, and say before and after what is done.

    Args:
        targets: names of stages; the whole study if empty.
        say: prints a line.

    Raises:
        BonexrayError: DVC or a stage failed.
    """
    plan, recorded = make_plan(targets), read_durations(main_repository() / RECORDED)
    committed = read_durations(COMMITTED)
    say(announcement(plan, recorded, committed))
    if plan.nothing_to_do:
        return
    log = log_root() / "repro" / f"log-{datetime.now():%Y-%m-%d_%H-%M-%S}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    known = recorded.total(plan.to_run) is not None or not committed.seconds
    began, expected = time.monotonic(), recorded if known else committed
    with log.open("w", encoding="utf-8") as file, show(plan, expected) as shown:
        run = _Run(plan, shown, recorded, file)
        code = run.call(["--pull", *targets] if plan.pull else targets)
        if code and plan.pull and not run.states:
            say(f"{UNREACHABLE}: {reason(list(run.lines))}")
            code = run.call(targets)
    if code:
        raise _failure(run, log)
    took = words(time.monotonic() - began)
    say(f"{counts(run.states.values(), OUTCOMES)}, in {took}; log: {os.path.relpath(log)}")


class _Run:
    """The state of a run, which follows from the lines of DVC.

    Args:
        plan: what will be done.
        shown: gets the progress.
        durations: get the time of each stage that ran.
        log: gets the lines.
    """

    def __init__(self, plan: Plan, shown: Shown, durations: Durations, log: TextIO) -> None:
        self.plan, self.shown, self.durations, self.log = plan, shown, durations, log
        self.states: dict[str, State] = {}  # in the order of the stages; the last is under way
        self.lines: deque[str] = deque(maxlen=LINES)
        self.began = time.monotonic()
        self.error: dict[str, str] | None = None  # the fields of a stage's BonexrayError

    def call(self, arguments: Sequence[str]) -> int:
        """Run DVC with arguments; return its exit code."""
        with tempfile.TemporaryDirectory() as scratch:
            error_file = Path(scratch) / "error.json"
            with _child([sys.executable, "-m", "dvc", "repro", *arguments], error_file) as process:
                for line in process.stdout:
                    self._read(line)
            if error_file.is_file():
                self.error = json.loads(error_file.read_text(encoding="utf-8"))
        if not process.returncode:
            self._end_stage()
            self.shown.end()
        return process.returncode

    def _read(self, line: str) -> None:
        self.log.write(line)
        self.log.flush()
        self.lines.append(line.rstrip("\n"))
        if event := stage_and_state(line.rstrip("\n")):
            stage, state = event
            if state == "pulled" and self.plan.stages.get(stage) == "cached":
                state = "cached"  # nothing was left to pull
            if stage not in self.states:
                self._end_stage()
            self.states[stage], self.began = state, time.monotonic()
            self.shown.begin(stage, state, len(self.states) - 1)

    def _end_stage(self) -> None:
        if self.states and next(reversed(self.states.values())) == "ran":
            self.durations.record(next(reversed(self.states)), time.monotonic() - self.began)


@contextmanager
def _child(command: list[str], error_file: Path) -> Iterator[subprocess.Popen]:
    """Yield a process in a group of its own, which ends with the block, however this one is ended."""
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    text = {"encoding": "utf-8", "errors": "replace"}
    env = {**os.environ, ERROR_FILE: str(error_file)}
    handlers = {number: signal.signal(number, _stop) for number in (signal.SIGTERM, signal.SIGHUP)}
    with subprocess.Popen(command, env=env, process_group=0, **pipes, **text) as process:
        try:
            yield process
        except BaseException:
            _end(process)
            raise
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)


def _stop(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _end(process: subprocess.Popen) -> None:
    """Interrupt DVC and its stage as a terminal does; kill them if they do not end in time, or at a second interrupt."""
    try:
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=SECONDS_TO_END)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _failure(run: _Run, log: Path) -> BonexrayError:
    """Return the error of the stage that failed, in its own words if it has any, with the path of the log."""
    stage, do = next(reversed(run.states), ""), f"see {os.path.relpath(log)}"
    if run.error:
        return BonexrayError(**run.error | {"what": f"{stage}: {run.error['what']}", "do": f"{run.error['do']}; {do}"})
    what = f"the stage {stage}" if stage else "dvc repro"
    return BonexrayError(what, expected="to finish", received=reason(list(run.lines))[:300], do=do)
