"""The repository that a study belongs to."""

import os
from pathlib import Path


def main_repository() -> Path:
    """Return the root of the main repository, even when an experiment runs in a copy of it."""
    return Path(os.environ.get("DVC_ROOT", ".")).resolve()
