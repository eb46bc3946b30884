"""A stage in a process of its own, as DVC runs it: the caller's process keeps its folder, its threads and its seeds."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections import deque
from pathlib import Path

from bonexray.errors import BonexrayError
from bonexray.resources import PACKAGE, resource_path
from bonexray.stage import ERROR_FILE

OF_A_REPOSITORY = ("DVC_ROOT", "DVC_EXP_NAME")  # would send logs and runs to the repository that Python runs in
# What TensorFlow says of this machine whenever it starts, whatever its log level.
STARTING = re.compile(r"[IWE]\d{4} [\d:. ]+(port|cudart_stub|cuda_platform)\.cc:|WARNING: All log messages before absl")
SECONDS_TO_END, LINES = 10, 40


def run_in(folder: Path, stage: str, *names: str, verbose: bool = True) -> None:
    """Run a stage of the study in a folder and wait for it.

    Args:
        folder: with params.yaml.
        stage: its script's name.
        names: the model or the backbone, for a stage that is run for each.
        verbose: show on standard error what the stage says; its log in logs/ has it anyway.

    Raises:
        BonexrayError: the stage refused its input or broke off.
    """
    command = [sys.executable, "-P", str(resource_path("stages") / f"{stage}.py"), *names]
    with tempfile.TemporaryDirectory() as scratch:
        error_file = Path(scratch) / "error.json"
        code, said = _call(command, folder, {**environment(), ERROR_FILE: str(error_file)}, verbose)
        if code and error_file.is_file():
            raise BonexrayError(**json.loads(error_file.read_text(encoding="utf-8")))
    if code:
        raise broken_off("@".join([stage, *names]), code, said)


def _call(command: list[str], folder: Path, env: dict[str, str], verbose: bool) -> tuple[int, list[str]]:
    """Run a command to its end; return its exit code and the last lines that it printed."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "encoding": "utf-8", "errors": "replace"}
    with subprocess.Popen(command, cwd=folder, env=env, **pipes) as process:
        said: deque[str] = deque(maxlen=LINES)
        try:
            for line in process.stdout:
                if STARTING.match(line):
                    continue
                said.append(line.rstrip())
                if verbose:
                    print(line, end="", file=sys.stderr, flush=True)
        except BaseException:  # interrupted
            end(process)
            raise
    return process.returncode, list(said)


def environment() -> dict[str, str]:
    """What a stage's process finds: this very package, and the folder's own store of runs."""
    known = {key: value for key, value in os.environ.items() if key not in OF_A_REPOSITORY}
    return known | {"PYTHONPATH": os.pathsep.join(filter(None, [str(PACKAGE.parent), os.environ.get("PYTHONPATH")]))}


def end(process: subprocess.Popen) -> None:
    """Interrupt a stage as a terminal does, so that its own workers end too, and kill it if it does not."""
    process.send_signal(signal.SIGINT)
    try:
        process.communicate(timeout=SECONDS_TO_END)
    except subprocess.TimeoutExpired:
        process.kill()


def broken_off(title: str, code: int, said: list[str]) -> BonexrayError:
    """Return the error for a stage that ended without one of its own: its last line, and the lines before as a note.

    Args:
        title: of the stage, `train@vgg16`.
        code: that it ended with.
        said: its last lines.
    """
    lines = [line for line in said if line.strip()] or [""]
    error = BonexrayError(
        f"the stage {title}",
        expected="to finish",
        received=f"exit code {code}: {lines[-1][:200]}",
        do="see what it said before",
    )
    error.add_note("\n".join(lines))
    return error
