"""Where a stage leaves its log, and the fields of its error."""

from pathlib import Path

from bonexray.base.repository import main_repository

ERROR_FILE = "BONEXRAY_ERROR_FILE"  # environment variable: the file for the fields of a stage's error, as JSON


def log_root() -> Path:
    """Return logs/ of the main repository, also when an experiment runs in a copy of it."""
    return main_repository() / "logs"
