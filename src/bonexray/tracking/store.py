"""MLflow's store: its address, opening it, and finding and creating runs."""

import logging
import os
import re
import sqlite3
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from filelock import FileLock
from google.protobuf.json_format import ParseError
from mlflow.entities import Experiment, LifecycleStage, Metric, Run
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from mlflow.utils.mlflow_tags import MLFLOW_GIT_COMMIT, MLFLOW_RUN_NOTE, MLFLOW_SOURCE_NAME, MLFLOW_SOURCE_TYPE
from sqlalchemy.exc import SQLAlchemyError

from bonexray.base.errors import BonexrayError
from bonexray.base.repository import main_repository
from bonexray.tracking.address import ARTIFACTS, database_file, tracking_uri, without_secret
from bonexray.tracking.deleted import DeletedExperimentError
from bonexray.tracking.moved import follow_moved_files

log = logging.getLogger("bonexray")
FINGERPRINT, STAGE, LEAK = "fingerprint", "stage", "leak_suspect"
FINISHED = "FINISHED"
FAILURES = (MlflowException, SQLAlchemyError, sqlite3.Error, ImportError, OSError, ParseError)
# By default, MLflow retries for minutes while training waits. With these values, a server that is down costs 5 seconds,
# once, and an unresponsive one 50. MLflow would also print the address of each run, which may contain a password.
CLIENT_DEFAULTS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",  # which may be hours
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
# Without a kind, MLflow 3 opens an experiment as one of generative AI, or infers a kind from its runs.
EXPERIMENT_TAGS = {
    "mlflow.experimentKind": "custom_model_development",
    MLFLOW_RUN_NOTE: "Classifiers of bone X-rays. The tag `study` groups the runs of a study.",
}


@dataclass(frozen=True)
class TrackingStore:
    """An open tracking store and the study's experiment in it."""

    client: MlflowClient
    experiment_id: str


def open_store(experiment: str) -> TrackingStore:
    """Open the store and create what is missing; one process at a time, because two break a new database.

    Raises:
        DeletedExperimentError: the experiment was deleted.
    """
    with one_process_at("store"):
        client, database = _client(), database_file()
        existing = _active(client, experiment)
        if database:
            follow_moved_files(database)
        if existing is None:
            location = (database.parent / ARTIFACTS).as_uri() if database else None
            return TrackingStore(client, client.create_experiment(experiment, location, EXPERIMENT_TAGS))
        for tag, value in EXPERIMENT_TAGS.items():
            if "inferred" in existing.tags.get(tag, "inferred"):  # what a user chose stays
                client.set_experiment_tag(existing.experiment_id, tag, value)
        return TrackingStore(client, existing.experiment_id)


def server_experiment(name: str) -> Experiment | None:
    """Return an experiment on a server, or None if there is none of this name.

    Raises:
        DeletedExperimentError: the experiment was deleted.
    """
    return _active(_client(), name)


def _client() -> MlflowClient:
    for name, value in CLIENT_DEFAULTS.items():
        os.environ.setdefault(name, value)
    return MlflowClient(tracking_uri())


def _active(client: MlflowClient, name: str) -> Experiment | None:
    experiment = client.get_experiment_by_name(name)
    if experiment is not None and experiment.lifecycle_stage == LifecycleStage.DELETED:
        raise DeletedExperimentError(name, experiment.experiment_id)
    return experiment


@contextmanager
def one_process_at(task: str) -> Iterator[None]:
    """Wait until no other process of this repository, or of an experiment's copy of it, does the same task."""
    lock = main_repository() / ".bonexray" / f"{task}.lock"
    lock.parent.mkdir(exist_ok=True)
    with FileLock(lock):
        yield


@contextmanager
def one_warning(completed_by: str = "`bonexray sync`", refuses: bool = False) -> Iterator[None]:
    """Turn a failure of the store in the block into a warning that names the command that completes the record.

    Args:
        completed_by: that command.
        refuses: let the error about a deleted experiment pass, because no work has been done yet.
    """
    try:
        yield
    except DeletedExperimentError as error:
        if refuses:
            raise
        log.warning("MLflow: %s", error)
    except (
        *FAILURES,
        BonexrayError,
    ) as error:  # such as a damaged file, a full disk, a missing driver, another web page
        log.warning("MLflow: %s; nothing is lost, %s completes the record", reason_of(error), completed_by)


def reason_of(error: Exception) -> str:
    """Return an error's message in one line, without secrets."""
    return without_secret(" ".join(f"{error}".split()) or type(error).__name__)[:200]


def create_run(store: TrackingStore, name: str, tags: Mapping[str, object], command: str, note: str) -> str:
    """Start a run and return its id.

    Args:
        store: the store.
        name: the name of the run.
        tags: its tags; those without a value are omitted.
        command: the command that does what the run records.
        note: the description of the run.

    Raises:
        ConnectionError: the server is not MLflow.
    """
    commit = git_commit()
    source = {
        MLFLOW_SOURCE_NAME: command,
        MLFLOW_SOURCE_TYPE: "LOCAL",
        MLFLOW_GIT_COMMIT: commit,
        MLFLOW_RUN_NOTE: note,
    }
    texts = {key: str(value) for key, value in {**source, "git_commit": commit, **tags}.items() if value}
    run_id = store.client.create_run(store.experiment_id, run_name=name, tags=texts).info.run_id
    if not run_id:  # MLflow's client accepts an empty response
        raise ConnectionError(f"the server at {tracking_uri()} is not MLflow")
    return run_id


def runs_of(store: TrackingStore, fingerprint: str) -> list[Run]:
    """Return the runs with a fingerprint, in any state, newest first."""
    query = f"tags.`{FINGERPRINT}` = '{fingerprint}'"
    return list(store.client.search_runs([store.experiment_id], query, order_by=["attributes.start_time DESC"]))


def finished_runs(store: TrackingStore, fingerprint: str) -> list[str]:
    """Return the ids of the finished runs with a fingerprint, newest first."""
    return [run.info.run_id for run in runs_of(store, fingerprint) if run.info.status == FINISHED]


def metrics_of(values: Mapping[str, object], step: int) -> list[Metric]:
    """Return the numbers among some values as MLflow metrics; characters that it refuses in names are replaced."""
    now = int(time.time() * 1000)
    numbers = ((key, value) for key, value in values.items() if isinstance(value, int | float))
    return [Metric(re.sub(r"[^\w\-. /:]", "_", key), float(value), now, step) for key, value in numbers]


def flat(values: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    """Yield the values of nested mappings, each with its escaped keys joined by dots."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{escaped(str(key))}.")
        else:
            yield f"{prefix}{escaped(str(key))}", value


def escaped(key: str) -> str:
    """Return a key that has no dot, slash or other mark of MLflow's names.

    Letters, digits, `_`, `-` and inner spaces stay; any other character becomes its number between colons, and an empty
    key `::`. Different keys stay different.
    """
    return re.sub(r"[^\w\- ]|^ | $", lambda found: f":{ord(found[0]):x}:", key) or "::"


def unescaped(key: str) -> str:
    """Return the key that `escaped` was given."""
    return re.sub(":([0-9a-f]*):", lambda found: chr(int(found[1], 16)) if found[1] else "", key)


def git_commit() -> str:
    """Return the current Git commit, or an empty text without a repository or without Git."""
    try:
        result = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return result.stdout.strip()
