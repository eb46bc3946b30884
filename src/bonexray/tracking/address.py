"""The address of MLflow's store; this module does not import MLflow."""

import os
import re
from pathlib import Path

from bonexray.base.repository import main_repository

SQLITE = re.compile(r"(sqlite(?:\+\w+)?):///([^?]+)(\?.*)?")
ARTIFACTS = "mlartifacts"  # the folder with the files of the runs, beside a database file


def tracking_uri() -> str:
    """Return `MLFLOW_TRACKING_URI`, or by default mlflow.db in the main repository.

    A relative path of a database file is relative to the main repository, also in an experiment's copy of it.
    """
    address = os.environ.get("MLFLOW_TRACKING_URI") or "sqlite:///mlflow.db"
    if file := SQLITE.fullmatch(address):
        kind, path, options = file.groups()
        return f"{kind}:///{main_repository() / path}{options or ''}"
    return address


def database_file() -> Path | None:
    """Return the database file of the store, or None if the store is no file."""
    file = SQLITE.fullmatch(tracking_uri())
    return Path(file[2]) if file and file[2] != ":memory:" else None


def without_secret(text: str) -> str:
    """Return a text without the user name and password of any address in it."""
    # The password may contain any character.
    own = re.match(r"[\w+.-]+://(.+@)", os.environ.get("MLFLOW_TRACKING_URI", ""))
    return re.sub(r"//[^/\s]*@", "//", text.replace(own[1], "") if own else text)
