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
from mlflow.entities import Metric
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from sqlalchemy.exc import SQLAlchemyError

from bonexray.outputs import main_repository

log = logging.getLogger("bonexray")
FINGERPRINT, STAGE, LEAK = "fingerprint", "stage", "leak_suspect"


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
    return re.sub(r"//[^/@\s]+@", "//", text)


def open_store(experiment: str) -> Store:
    """Open the store and create what is missing; one process at a time, because two at once break a new database."""
    lock = main_repository() / ".bonexray" / "store.lock"
    lock.parent.mkdir(exist_ok=True)
    local = tracking_uri().startswith("sqlite:")
    with FileLock(lock):
        client = MlflowClient(tracking_uri())
        found = client.get_experiment_by_name(experiment)
        if found is None:
            place = (main_repository() / "mlartifacts").as_uri() if local else None
            return Store(client, client.create_experiment(experiment, artifact_location=place))
        return Store(client, found.experiment_id)


@contextmanager
def one_warning() -> Iterator[None]:
    try:
        yield
    except (MlflowException, SQLAlchemyError, ImportError, OSError) as error:  # also a broken file, a missing driver
        reason = without_secret(" ".join(str(error).split())[:200])
        log.warning("MLflow: %s; nothing is lost, `bonexray sync` completes the record", reason)


def create_run(store: Store, name: str, tags: Mapping[str, object]) -> str:
    texts = {key: str(value) for key, value in tags.items() if value}
    return store.client.create_run(store.experiment_id, run_name=name, tags=texts).info.run_id


def finished_runs(store: Store, tag: str, value: object) -> list[str]:
    """Finished runs with a tag, the newest first."""
    query = f"tags.`{tag}` = '{value}' and attributes.status = 'FINISHED'"
    found = store.client.search_runs([store.experiment_id], query, order_by=["attributes.start_time DESC"])
    return [run.info.run_id for run in found]


def metrics_of(values: Mapping[str, object], step: int) -> list[Metric]:
    now = int(time.time() * 1000)
    numbers = ((key, value) for key, value in values.items() if isinstance(value, int | float))
    return [Metric(re.sub(r"[^\w\-. /:]", "_", key), float(value), now, step) for key, value in numbers]


def flat(values: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def git_commit() -> str:
    found = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return found.stdout.strip()
