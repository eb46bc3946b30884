"""The refusal of a deleted experiment; MLflow is imported for a server only."""

import sqlite3
from contextlib import closing
from pathlib import Path

from bonexray.base.errors import BonexrayError
from bonexray.tracking.address import database_file


class DeletedExperimentError(BonexrayError):
    """The experiment of the study is deleted: MLflow keeps it, and would refuse its runs.

    Args:
        name: the name of the experiment.
        number: its ID.
    """

    def __init__(self, name: str, number: str) -> None:
        super().__init__(
            f"the experiment {name} in MLflow",
            expected="one that is not deleted",
            received=f"a deleted one, with the ID {number}",
            do=f"restore it: `mlflow experiments restore -x {number}`, or choose another: `-S track.experiment=<name>`",
        )
        self.name, self.number = name, number

    def __reduce__(self) -> tuple:
        """Return what a worker process sends back."""
        return type(self), (self.name, self.number)


def require_not_deleted(name: str) -> None:
    """Refuse the name of a deleted experiment, before any work; a database file is read without importing MLflow.

    Raises:
        DeletedExperimentError: the experiment was deleted.
    """
    file = database_file()
    if file is None:
        from bonexray.tracking.store import one_warning, server_experiment

        with one_warning(refuses=True):
            server_experiment(name)
    elif file.is_file() and (number := _deleted_in(file, name)) is not None:
        raise DeletedExperimentError(name, number)


def _deleted_in(file: Path, name: str) -> str | None:
    query = "SELECT experiment_id FROM experiments WHERE name = ? AND lifecycle_stage = 'deleted'"
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True, timeout=20)) as store:
            row = store.execute(query, (name,)).fetchone()
    except sqlite3.Error:  # no database of MLflow; opening it says so, in a warning
        return None
    return str(row[0]) if row else None
