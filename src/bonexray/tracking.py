"""MLflow, a view of what DVC keeps: nothing here is ever an input of a stage.

A training's run is named by the hash of what the training consumed, so it is found again: a stage restored from
cache logs nothing, and `sync` makes the run from the files instead, once.
"""

import logging
import os
import re
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd
from filelock import FileLock
from mlflow.entities import Dataset, DatasetInput, Metric, Param
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from sqlalchemy.exc import SQLAlchemyError

from bonexray.config import Settings
from bonexray.data.folds import FIRST, Run
from bonexray.outputs import digest, main_repository, read_json

log = logging.getLogger("bonexray")
FINGERPRINT, EVALUATION, STAGE, LEAK = "fingerprint", "evaluation", "stage", "leak_suspect"
LOGGED_SECTIONS = (
    "split",
    "audit",
    "denoise",
    "prepare",
    "weights",
    "features",
    "augment",
    "train",
    "fine_tune",
    "evaluate",
)


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


class LiveRun:
    """A training's run while it trains. A store that fails costs one warning and the record, never the training."""

    def __init__(self, settings: Settings, card: Mapping[str, object], run: Run) -> None:
        self._fingerprint, self._store, self._run_id = training_fingerprint(card, run), None, None
        with _a_warning():
            self._store = open_store(settings.track.experiment)
            self._run_id = _start_run(self._store, settings, card, run)

    def epoch(self, number: int, metrics: Mapping[str, float]) -> None:
        """Log an epoch's metrics, with the epoch as the step."""
        run_id, self._run_id = self._run_id, None  # a failure ends the logging, so that it warns once
        with _a_warning():
            if run_id:
                self._store.client.log_batch(run_id, _metrics(metrics, step=number))
                self._run_id = run_id

    def end(self, status: str) -> None:
        """End the run; a finished one replaces earlier runs of the same training."""
        with _a_warning():
            if self._run_id:
                earlier = _runs(self._store, FINGERPRINT, self._fingerprint) if status == "FINISHED" else []
                self._store.client.set_terminated(self._run_id, status)
                for run_id in earlier:
                    self._store.client.delete_run(run_id)


@contextmanager
def live_run(settings: Settings, card: Mapping[str, object], run: Run = FIRST) -> Iterator[LiveRun]:
    """A run that is finished when the block ends and failed when the block raises."""
    live = LiveRun(settings, card, run)
    try:
        yield live
    except BaseException:
        live.end("FAILED")
        raise
    live.end("FINISHED")


def training_fingerprint(card: Mapping[str, object], run: Run) -> str:
    """What names a training: the first one's is the model's."""
    named = str(card["fingerprint"])
    return named if run == FIRST else digest({"model": named, **asdict(run)})


def sync(settings: Settings) -> dict[str, int]:
    """Create every run of the study that is missing, from the files; create nothing twice.

    Returns:
        How many trainings, evaluations and studies were added.
    """
    store = open_store(settings.track.experiment)
    added = {"trainings": 0, "evaluations": 0, "studies": 0}
    for name in settings.models:
        card_file = Path(f"models/{name}/model.json")
        if not card_file.exists():
            log.warning("%s is not here: `dvc repro` or `dvc pull` brings it; its run is left out", card_file.parent)
            continue
        card = read_json(card_file)
        for run in [Run(**item) for item in card["runs"]][::-1]:  # the first one last: it carries the evaluation
            known = _runs(store, FINGERPRINT, training_fingerprint(card, run))
            added["trainings"] += not known
            folder = card_file.parent if run == FIRST else card_file.parent / run.name
            run_id = known[0] if known else _training_from_files(store, settings, card, run, folder)
        added["evaluations"] += _add_evaluation(store, run_id, name)
    added["studies"] += _add_study(store, settings)
    return added


def try_to_sync(settings: Settings) -> None:
    """Sync where it works; a store that does not answer costs one warning, because the numbers are in files."""
    with _a_warning():
        added = sync(settings)
        log.info(
            "MLflow: %s; new: %s",
            without_secret(tracking_uri()),
            ", ".join(f"{count} {name}" for name, count in added.items()),
        )


@contextmanager
def _a_warning() -> Iterator[None]:
    try:
        yield
    except (MlflowException, SQLAlchemyError, ImportError, OSError) as error:  # also a broken file, a missing driver
        reason = without_secret(" ".join(str(error).split())[:200])
        log.warning("MLflow: %s; nothing is lost, `bonexray sync` completes the record", reason)


def _start_run(store: Store, settings: Settings, card: Mapping[str, object], run: Run) -> str:
    tags = {
        "model": card["model"], "dataset": settings.dataset.name, STAGE: "train",
        FINGERPRINT: training_fingerprint(card, run), "repeat": run.repeat, "fold": run.fold,
        "dvc_exp": os.environ.get("DVC_EXP_NAME", ""), "git_commit": _git_commit(), LEAK: card["leak_suspect"],
    }  # fmt: skip
    run_id = _create_run(store, str(card["model"]) + (f" {run.name}" if run != FIRST else ""), tags)
    sections = settings.model_dump(include={*LOGGED_SECTIONS})
    params = [Param(key, str(value)) for key, value in _flat(sections)]
    store.client.log_batch(run_id, params=[*(Param(key, str(card[key])) for key in ("model", "mode")), *params])
    data = Dataset(settings.dataset.name, str(card["manifest_sha256"])[:32], "local", settings.dataset.root)
    store.client.log_inputs(run_id, [DatasetInput(data)])
    return run_id


def _create_run(store: Store, name: str, tags: Mapping[str, object]) -> str:
    texts = {key: str(value) for key, value in tags.items() if value}
    return store.client.create_run(store.experiment_id, run_name=name, tags=texts).info.run_id


def _training_from_files(store: Store, settings: Settings, card: Mapping[str, object], run: Run, folder: Path) -> str:
    run_id = _start_run(store, settings, card, run)
    for row in pd.read_csv(folder / "history.csv").to_dict("records"):
        epoch = int(row.pop("epoch"))
        store.client.log_batch(run_id, _metrics(row, step=epoch))
    store.client.set_terminated(run_id, "FINISHED")
    return run_id


def _add_evaluation(store: Store, run_id: str, model: str) -> bool:
    """Test metrics and figures onto a training's run, unless these very ones are there."""
    file = Path(f"metrics/models/{model}.json")
    if not file.exists():
        return False
    scores = read_json(file)
    version = digest(scores)
    if store.client.get_run(run_id).data.tags.get(EVALUATION) == version:
        return False
    numbers = {f"test/{key}": value for key, value in _flat(scores) if not key.startswith("val_")}
    store.client.log_batch(run_id, _metrics(numbers, step=0))
    store.client.log_artifacts(run_id, f"reports/models/{model}", "evaluation")
    store.client.set_tag(run_id, EVALUATION, version)
    return True


def _add_study(store: Store, settings: Settings) -> bool:
    """One run for the comparison as a whole."""
    headline = Path("metrics/headline.json")
    if not headline.exists():
        return False
    content = dict(_flat(read_json(headline)))
    version = digest({"models": read_json("metrics/models.json"), "headline": content})
    if _runs(store, FINGERPRINT, version):
        return False
    tags = {
        STAGE: "aggregate",
        "dataset": settings.dataset.name,
        FINGERPRINT: version,
        "git_commit": _git_commit(),
        LEAK: content.get(LEAK),
    }
    run_id = _create_run(store, f"study of {len(settings.models)} on {settings.dataset.name}", tags)
    params = [Param("models", ", ".join(settings.models)), Param("chosen", str(content.get("model")))]
    store.client.log_batch(run_id, _metrics(content, step=0), params)
    store.client.log_artifact(run_id, "metrics/comparison.csv")
    store.client.log_artifacts(run_id, "reports/comparison", "figures")
    store.client.set_terminated(run_id, "FINISHED")
    return True


def _runs(store: Store, tag: str, value: object) -> list[str]:
    """Finished runs with a tag, the newest first."""
    query = f"tags.`{tag}` = '{value}' and attributes.status = 'FINISHED'"
    found = store.client.search_runs([store.experiment_id], query, order_by=["attributes.start_time DESC"])
    return [run.info.run_id for run in found]


def _metrics(values: Mapping[str, object], step: int) -> list[Metric]:
    now = int(time.time() * 1000)
    numbers = ((key, value) for key, value in values.items() if isinstance(value, int | float))
    return [Metric(re.sub(r"[^\w\-. /:]", "_", key), float(value), now, step) for key, value in numbers]


def _flat(values: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _git_commit() -> str:
    found = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return found.stdout.strip()
