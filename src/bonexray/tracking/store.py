"""The store: where it is, how it is opened, how runs in it are found and filled."""

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

from bonexray.repository import main_repository

log = logging.getLogger("bonexray")
FINGERPRINT, STAGE, LEAK = "fingerprint", "stage", "leak_suspect"
FINISHED = "FINISHED"
FAILURES = (MlflowException, SQLAlchemyError, ImportError, OSError, ParseError)
# MLflow retries for minutes, and training waits for it: here a server that is down costs 5 seconds, once, and one that
# hangs 50. It also prints the address of each run, with the password that may stand in it.
CLIENT_DEFAULTS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",  # a busy server may ask for hours
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


@dataclass(frozen=True)
class Store:
    """An open tracking store and the study's experiment in it."""

    client: MlflowClient
    experiment_id: str


def tracking_uri() -> str:
    """`MLFLOW_TRACKING_URI`, else mlflow.db in the main repository."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{main_repository() / 'mlflow.db'}"


def without_secret(text: str) -> str:
    """A text with the user and password of any address in it left out."""
    own = re.match(r"[\w+.-]+://(.+@)", os.environ.get("MLFLOW_TRACKING_URI", ""))  # a password may have any character
    return re.sub(r"//[^/\s]*@", "//", text.replace(own[1], "") if own else text)


def open_store(experiment: str) -> Store:
    """Open the store and create what is missing; one process at a time, because two at once break a new database."""
    for name, value in CLIENT_DEFAULTS.items():
        os.environ.setdefault(name, value)
    local = tracking_uri().startswith("sqlite:")
    with one_process_at("store"):
        client = MlflowClient(tracking_uri())
        found = client.get_experiment_by_name(experiment)
        if found is None:
            place = (main_repository() / "mlartifacts").as_uri() if local else None
            return Store(client, client.create_experiment(experiment, artifact_location=place))
        return Store(client, found.experiment_id)


@contextmanager
def one_process_at(what: str) -> Iterator[None]:
    """Wait until no other process of this repository, or of an experiment's copy of it, is at the same thing."""
    lock = main_repository() / ".bonexray" / f"{what}.lock"
    lock.parent.mkdir(exist_ok=True)
    with FileLock(lock):
        yield


@contextmanager
def one_warning(completed_by: str = "`bonexray sync`") -> Iterator[None]:
    """A store that fails within the block ends the block with a warning, which names what completes the record."""
    try:
        yield
    except FAILURES as error:  # also a broken file, a full disk, a missing driver, a page that is not MLflow's
        log.warning("MLflow: %s; nothing is lost, %s completes the record", reason_of(error), completed_by)


def reason_of(error: Exception) -> str:
    """An error in one line without secrets."""
    return without_secret(" ".join(f"{error}".split()) or type(error).__name__)[:200]


def create_run(store: Store, name: str, tags: Mapping[str, object]) -> str:
    """Start a run; tags without a value are left out.

    Raises:
        ConnectionError: what answers is not MLflow.
    """
    texts = {key: str(value) for key, value in tags.items() if value}
    run_id = store.client.create_run(store.experiment_id, run_name=name, tags=texts).info.run_id
    if not run_id:  # an empty answer is a valid one to MLflow's client
        raise ConnectionError(f"what answers at {tracking_uri()} is not MLflow")
    return run_id


def runs_of(store: Store, fingerprint: str) -> list[Run]:
    """Runs with a fingerprint in any state, the newest first."""
    query = f"tags.`{FINGERPRINT}` = '{fingerprint}'"
    return list(store.client.search_runs([store.experiment_id], query, order_by=["attributes.start_time DESC"]))


def finished_runs(store: Store, fingerprint: str) -> list[str]:
    """Ids of finished runs with a fingerprint, the newest first."""
    return [run.info.run_id for run in runs_of(store, fingerprint) if run.info.status == FINISHED]


def metrics_of(values: Mapping[str, object], step: int) -> list[Metric]:
    """The numbers among some values as MLflow takes them, at this moment; their names in the characters it allows."""
    now = int(time.time() * 1000)
    numbers = ((key, value) for key, value in values.items() if isinstance(value, int | float))
    return [Metric(re.sub(r"[^\w\-. /:]", "_", key), float(value), now, step) for key, value in numbers]


def flat(values: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    """The values of nested mappings, each with the keys that lead to it joined by dots."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def git_commit() -> str:
    """The commit of the repository here, empty where there is none, or no Git."""
    try:
        found = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return found.stdout.strip()
