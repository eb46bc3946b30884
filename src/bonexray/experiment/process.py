"""Stages, each in its own process as under DVC, so that threads and seeds are the same."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections import deque
from pathlib import Path

from bonexray.base.errors import BonexrayError
from bonexray.logs import ERROR_FILE
from bonexray.resources import PACKAGE, resource_path

REPOSITORY_VARIABLES = ("DVC_ROOT", "DVC_EXP_NAME")  # of an enclosing DVC run, whose repository would get logs and runs
# Notes about the machine, which TensorFlow prints at every start, whatever its log level.
STARTUP_NOTES = re.compile(
    r"[IWE]\d{4} [\d:. ]+(port|cudart_stub|cuda_platform)\.cc:|WARNING: All log messages before absl"
)
SECONDS_TO_END, LINES = 10, 40  # allowed after an interrupt; last lines kept for an error


def run_in(folder: Path, stage: str, *names: str, verbose: bool = True) -> None:
    """Run a stage in a folder and wait for it.

    Args:
        folder: the study's folder, with params.yaml.
        stage: the name of the stage.
        names: the model or backbone, for a stage that runs once for each.
        verbose: print the output of the stage to standard error; logs/ has it in any case.

    Raises:
        BonexrayError: the stage refused its input or failed.
    """
    command = [sys.executable, "-P", str(resource_path("stages") / f"{stage}.py"), *names]
    with tempfile.TemporaryDirectory() as scratch:
        error_file = Path(scratch) / "error.json"
        code, lines = _call(command, folder, {**environment(), ERROR_FILE: str(error_file)}, verbose)
        if code and error_file.is_file():
            raise BonexrayError(**json.loads(error_file.read_text(encoding="utf-8")))
    if code:
        raise stage_failure("@".join([stage, *names]), code, lines)


def _call(command: list[str], folder: Path, env: dict[str, str], verbose: bool) -> tuple[int, list[str]]:
    """Run a command; return its exit code and the last lines of its output."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "encoding": "utf-8", "errors": "replace"}
    with subprocess.Popen(command, cwd=folder, env=env, **pipes) as process:
        lines: deque[str] = deque(maxlen=LINES)
        try:
            for line in process.stdout:
                if STARTUP_NOTES.match(line):
                    continue
                lines.append(line.rstrip())
                if verbose:
                    print(line, end="", file=sys.stderr, flush=True)
        except BaseException:  # interrupted
            end(process)
            raise
    return process.returncode, list(lines)


def environment() -> dict[str, str]:
    """Return the environment of a stage, which imports this package and logs to the store of its own folder."""
    kept = {key: value for key, value in os.environ.items() if key not in REPOSITORY_VARIABLES}
    return kept | {"PYTHONPATH": os.pathsep.join(filter(None, [str(PACKAGE.parent), os.environ.get("PYTHONPATH")]))}


def end(process: subprocess.Popen) -> None:
    """Interrupt a stage as a terminal does, so that its workers end too; kill it if it does not end in time."""
    process.send_signal(signal.SIGINT)
    try:
        process.communicate(timeout=SECONDS_TO_END)
    except subprocess.TimeoutExpired:
        process.kill()


def stage_failure(title: str, code: int, output: list[str]) -> BonexrayError:
    """Return the error for a stage that failed unexpectedly, with its output as a note.

    Args:
        title: the stage, such as `train@vgg16`.
        code: its exit code.
        output: the last lines of its output.
    """
    lines = [line for line in output if line.strip()] or [""]
    error = BonexrayError(
        f"the stage {title}",
        expected="to finish",
        received=f"exit code {code}: {lines[-1][:200]}",
        do="see its output above, or in logs/",
    )
    error.add_note("\n".join(lines))
    return error
