"""A store whose folder was moved or copied: its runs find their files again."""

import logging
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bonexray.tracking.address import ARTIFACTS

log = logging.getLogger("bonexray")
LOCATIONS = {  # columns of MLflow's tables that contain the location of files
    "runs": "artifact_uri",
    "logged_models": "artifact_location",
    "model_versions": "storage_location",
}


def follow_moved_files(database: Path) -> None:
    """Point a store at the files beside its database, where it points at another folder that it came from.

    MLflow records absolute locations. If the recorded folder is gone, or belongs to the repository that this one was
    copied from, the locations are rewritten. A folder of another name was chosen by the user and stays.

    Args:
        database: the SQLite file of the store; its files are in `mlartifacts` beside it.
    """
    own = database.parent / ARTIFACTS
    with closing(sqlite3.connect(database, timeout=20)) as store, store:
        for recorded in _recorded_roots(store):
            if recorded == own or not _left_behind(recorded, database.name):
                continue
            store.execute(
                "UPDATE experiments SET artifact_location = ? WHERE artifact_location IN (?, ?)",
                (own.as_uri(), str(recorded), recorded.as_uri()),
            )
            if own.exists() or not recorded.exists():
                changed = {table: _rewrite(store, table, column, recorded, own) for table, column in LOCATIONS.items()}
                missing = "" if own.exists() else "; the folder is missing, copy it here"
                log.warning(
                    "MLflow: the files of %d runs were in %s, now in %s%s", changed["runs"], recorded, own, missing
                )


def _recorded_roots(store: sqlite3.Connection) -> list[Path]:
    rows = store.execute("SELECT DISTINCT artifact_location FROM experiments").fetchall()
    paths = {Path(unquote(urlsplit(location).path)) for (location,) in rows if location and _is_local(location)}
    return sorted(path for path in paths if path.name == ARTIFACTS)


def _is_local(location: str) -> bool:
    return location.startswith(("/", "file:"))


def _left_behind(recorded: Path, database: str) -> bool:
    return not recorded.exists() or (recorded.parent / database).exists()


def _rewrite(store: sqlite3.Connection, table: str, column: str, old: Path, new: Path) -> int:
    """Replace the root of the locations in a column; return the number of rows changed."""
    changed = 0
    for prefix, replacement in ((old.as_uri(), new.as_uri()), (str(old), str(new))):
        start = len(prefix) + 1
        changed += store.execute(
            f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column}, 1, ?) = ?",
            (replacement, start, start, f"{prefix}/"),
        ).rowcount
    return changed
