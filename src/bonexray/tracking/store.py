"""MLflow's store: its address, opening it, and finding and creating runs."""

import logging
import os
import re
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from filelock import FileLock
from google.protobuf.json_format import ParseError
from mlflow.entities import Metric, Run
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from sqlalchemy.exc import SQLAlchemyError

from bonexray.base.errors import BonexrayError
from bonexray.base.repository import main_repository

log = logging.getLogger("bonexray")
FINGERPRINT, STAGE, LEAK = "fingerprint", "stage", "leak_suspect"
FINISHED = "FINISHED"
FAILURES = (MlflowException, SQLAlchemyError, ImportError, OSError, ParseError)
# By default, MLflow retries for minutes while training waits. With these values, a server that is down costs 5 seconds,
# once, and an unresponsive one 50. MLflow would also print the address of each run, which may contain a password.
CLIENT_DEFAULTS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",  # which may be hours
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


@dataclass(frozen=True)
class TrackingStore:
    """An open tracking store and the study's experiment in it."""

    client: MlflowClient
    experiment_id: str


def tracking_uri() -> str:
    """Return `MLFLOW_TRACKING_URI`, or by default mlflow.db in the main repository."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{main_repository() / 'mlflow.db'}"


def without_secret(text: str) -> str:
    """Return a text without the user name and password of any address in it."""
    # The password may contain any character.
    own = re.match(r"[\w+.-]+://(.+@)", os.environ.get("MLFLOW_TRACKING_URI", ""))
    return re.sub(r"//[^/\s]*@", "//", text.replace(own[1], "") if own else text)


def open_store(experiment: str) -> TrackingStore:
    """Open the store and create what is missing; one process at a time, because two break a new database."""
    for name, value in CLIENT_DEFAULTS.items():
        os.environ.setdefault(name, value)
    local = tracking_uri().startswith("sqlite:")
    with one_process_at("store"):
        client = MlflowClient(tracking_uri())
        existing = client.get_experiment_by_name(experiment)
        if existing is None:
            location = (main_repository() / "mlartifacts").as_uri() if local else None
            return TrackingStore(client, client.create_experiment(experiment, artifact_location=location))
        return TrackingStore(client, existing.experiment_id)


@contextmanager
def one_process_at(task: str) -> Iterator[None]:
    """Wait until no other process of this repository, or of an experiment's copy of it, does the same task."""
    lock = main_repository() / ".bonexray" / f"{task}.lock"
    lock.parent.mkdir(exist_ok=True)
    with FileLock(lock):
        yield


@contextmanager
def one_warning(completed_by: str = "`bonexray sync`") -> Iterator[None]:
    """Turn a failure of the store in the block into a warning that names the command that completes the record."""
    try:
        yield
    except (
        *FAILURES,
        BonexrayError,
    ) as error:  # such as a damaged file, a full disk, a missing driver, another web page
        log.warning("MLflow: %s; nothing is lost, %s completes the record", reason_of(error), completed_by)


def reason_of(error: Exception) -> str:
    """Return an error's message in one line, without secrets."""
    return without_secret(" ".join(f"{error}".split()) or type(error).__name__)[:200]


def create_run(store: TrackingStore, name: str, tags: Mapping[str, object]) -> str:
    """Start a run and return its id; tags without a value are omitted.

    Raises:
        ConnectionError: the server is not MLflow.
    """
    texts = {key: str(value) for key, value in tags.items() if value}
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
