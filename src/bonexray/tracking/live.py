"""The MLflow run of a training in progress."""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict

from mlflow.entities import Dataset, DatasetInput, Param

from bonexray.base.hashing import digest
from bonexray.data.folds import FIRST, Run
from bonexray.study import Settings, load_settings
from bonexray.tracking.grouping import STUDY, study_name
from bonexray.tracking.store import (
    FAILURES,
    FINGERPRINT,
    FINISHED,
    LEAK,
    STAGE,
    TrackingStore,
    create_run,
    finished_runs,
    flat,
    metrics_of,
    one_warning,
    open_store,
    tracking_uri,
)

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
# A store may delay a training by this many seconds or by this share of its time, whichever is more.
PATIENCE_S, PATIENCE_SHARE = 60, 0.1
given_up: set[str] = set()  # stores that failed in this process; later folds do not wait for them again


class Patience:
    """A limit on the time that a task spends waiting for a store.

    Args:
        waiter: the name of the task in the warning, such as "this training".
    """

    def __init__(self, waiter: str) -> None:
        self._waiter, self._began, self._waited_s = waiter, time.monotonic(), 0.0

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Add the time of the block.

        Raises:
            TimeoutError: the limit is exceeded.
        """
        started = time.monotonic()
        yield
        self._waited_s += time.monotonic() - started
        if self._waited_s > max(PATIENCE_S, PATIENCE_SHARE * (time.monotonic() - self._began)):
            raise TimeoutError(f"the store is slow: {self._waiter} has waited {self._waited_s:.0f} s for it")


class LiveRun:
    """The MLflow run of a training in progress. If the store fails, it warns once and training continues without it.

    Raises:
        DeletedExperimentError: the experiment was deleted; the training has not begun.
    """

    def __init__(self, card: Mapping[str, object], run: Run) -> None:
        self._fingerprint, self._store, self._run_id = training_fingerprint(card, run), None, None
        self._patience = Patience("this training")
        if tracking_uri() in given_up:
            return
        with one_failure(refuses=True):
            settings = load_settings()
            self._store = open_store(settings.track.name)
            self._run_id = start_run(self._store, settings, card, run)

    def epoch(self, number: int, metrics: Mapping[str, float]) -> None:
        """Log an epoch's metrics, with the epoch as the step."""
        run_id, self._run_id = self._run_id, None  # stays None after a failure, so that there is one warning
        with one_failure():
            if run_id:
                with self._patience.waiting():
                    self._store.client.log_batch(run_id, metrics_of(metrics, step=number))
                self._run_id = run_id

    def end(self, status: str) -> None:
        """End the run; a finished one replaces earlier runs of the same training."""
        with one_failure():
            if self._run_id:
                earlier = finished_runs(self._store, self._fingerprint) if status == FINISHED else []
                self._store.client.set_terminated(self._run_id, status)
                for run_id in earlier:
                    self._store.client.delete_run(run_id)


@contextmanager
def one_failure(completed_by: str = "`bonexray sync`", refuses: bool = False) -> Iterator[None]:
    """Turn a failure of the store in the block into a warning, and stop using the store in this process."""
    with one_warning(completed_by, refuses):
        try:
            yield
        except FAILURES:
            given_up.add(tracking_uri())
            raise


@contextmanager
def live_run(card: Mapping[str, object], run: Run = FIRST) -> Iterator[LiveRun]:
    """Yield a run, marked as finished when the block ends and as failed when it raises; read params.yaml."""
    live = LiveRun(card, run)
    try:
        yield live
    except BaseException:
        live.end("FAILED")
        raise
    live.end(FINISHED)


def training_fingerprint(card: Mapping[str, object], run: Run) -> str:
    """Return the fingerprint of a training; the first training has that of its model."""
    fingerprint = str(card["fingerprint"])
    return fingerprint if run == FIRST else digest({"model": fingerprint, **asdict(run)})


def start_run(store: TrackingStore, settings: Settings, card: Mapping[str, object], run: Run) -> str:
    """Start the run of a training with its tags, parameters and dataset, and return its id."""
    tags = {
        "model": card["model"],
        "dataset": settings.dataset.name,
        STAGE: "train",
        FINGERPRINT: training_fingerprint(card, run),
        "repeat": run.repeat,
        "fold": run.fold,
        "dvc_exp": os.environ.get("DVC_EXP_NAME", ""),
        LEAK: card["leak_suspect"],
        STUDY: study_name(settings),
    }
    model, command = str(card["model"]), f"dvc repro train@{card['model']}"
    note = f"{model} ({card['mode']}) on {settings.dataset.name}: repeat {run.repeat}, fold {run.fold}, made by `{command}`"
    run_id = create_run(store, model + (f" {run.name}" if run != FIRST else ""), tags, command, note)
    sections = settings.model_dump(include={*LOGGED_SECTIONS})
    params = [Param(key, str(value)) for key, value in flat(sections)]
    store.client.log_batch(run_id, params=[*(Param(key, str(card[key])) for key in ("model", "mode")), *params])
    data = Dataset(settings.dataset.name, str(card["manifest_sha256"])[:32], "local", settings.dataset.root)
    store.client.log_inputs(run_id, [DatasetInput(data)])
    return run_id
