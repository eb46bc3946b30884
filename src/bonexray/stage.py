"""How a stage script runs: settings checked, a log kept, an error shown in one line."""

import json
import logging
import os
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from bonexray.check import require_sound_settings
from bonexray.config import Section, StageSettings, load
from bonexray.errors import BonexrayError
from bonexray.repository import main_repository
from bonexray.study import Settings, load_settings

log = logging.getLogger("bonexray")
ERROR_FILE = "BONEXRAY_ERROR_FILE"  # environment variable: where a refused stage leaves the error's fields, as JSON


def run_stage(main: Callable[..., None], kind: type[StageSettings]) -> None:
    """Call `main(settings, *arguments of the command line)`, and exit with 1 where the user has to act.

    Args:
        main: of the stage.
        kind: the class of its settings.
    """
    script, *arguments = sys.argv
    name = Path(script).stem
    try:
        settings = load_settings()
        require_sound_settings(settings)
        _start_log("@".join([name, *arguments]), name, settings)
        main(load(kind), *arguments)
    except BonexrayError as error:
        log.debug("stopped", exc_info=True)
        _leave_error(error)
        print(f"{name}: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print(f"{name}: interrupted; `dvc repro` goes on from the last finished stage", file=sys.stderr)
        sys.exit(130)
    except Exception:
        log.debug("broke off", exc_info=True)  # the console shows it too, but its lines do not stay
        raise


def _leave_error(error: BonexrayError) -> None:
    """Write the error's fields as JSON to the file that the environment names, if it names one."""
    if target := os.environ.get(ERROR_FILE):
        fields = {name: str(getattr(error, name)) for name in ("what", "expected", "received", "do")}
        Path(target).write_text(json.dumps(fields), encoding="utf-8")


def _start_log(title: str, section: str, settings: Settings) -> None:
    """Settings first, then what happens: briefly on the console, in full in logs/<stage>/log-<date>.log."""
    file = log_root() / title / f"log-{datetime.now():%Y-%m-%d_%H-%M-%S}.log"
    file.parent.mkdir(parents=True, exist_ok=True)
    console, full = logging.StreamHandler(sys.stderr), logging.FileHandler(file, encoding="utf-8")
    console.setLevel(logging.INFO)
    full.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    log.setLevel(logging.DEBUG)
    log.propagate = False
    log.handlers = [console, full]
    for key, value in settings:
        if isinstance(value, Section):
            log.log(logging.INFO if key == section else logging.DEBUG, "%s: %s", key, _line(value))


def log_root() -> Path:
    """logs/ of the main repository, also when an experiment runs in a copy of it."""
    return main_repository() / "logs"


def _line(section: Section) -> str:
    return " ".join(f"{key}={value}" for key, value in section.model_dump().items())
