"""The frame of a stage script: check the settings, keep a log, report errors in one line."""

import json
import logging
import os
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from bonexray.base.config import Section, StageSettings, load
from bonexray.base.errors import BonexrayError
from bonexray.check import require_sound_settings
from bonexray.logs import ERROR_FILE, log_root
from bonexray.study import Settings, load_settings

log = logging.getLogger("bonexray")


def run_stage(main: Callable[..., None], kind: type[StageSettings]) -> None:
    """Call `main` with the stage's settings and the command line's arguments; exit with 1 on a `BonexrayError`.

    Args:
        main: the function of the stage.
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
        _write_error(error)
        print(f"{name}: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print(f"{name}: interrupted; `dvc repro` continues after the last finished stage", file=sys.stderr)
        sys.exit(130)
    except Exception:
        log.debug("failed", exc_info=True)  # the console shows the traceback too, but does not keep it
        raise


def _write_error(error: BonexrayError) -> None:
    """Write the error's fields as JSON to the file in the environment variable, if it is set."""
    if target := os.environ.get(ERROR_FILE):
        fields = {name: str(getattr(error, name)) for name in ("what", "expected", "received", "do")}
        Path(target).write_text(json.dumps(fields), encoding="utf-8")


def _start_log(title: str, section: str, settings: Settings) -> None:
    """Log the settings and then the stage: briefly on the console, in full in logs/<stage>/log-<date>.log."""
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


def _line(section: Section) -> str:
    return " ".join(f"{key}={value}" for key, value in section.model_dump().items())
