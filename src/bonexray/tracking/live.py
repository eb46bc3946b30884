"""A training's run while it trains."""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict

from mlflow.entities import Dataset, DatasetInput, Param

from bonexray.data.folds import FIRST, Run
from bonexray.hashing import digest
from bonexray.study import Settings, load_settings
from bonexray.tracking.store import (
    FAILURES,
    FINGERPRINT,
    FINISHED,
    LEAK,
    STAGE,
    Store,
    create_run,
    finished_runs,
    flat,
    git_commit,
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


PATIENCE_S, PATIENCE_SHARE = 60, 0.1  # a store may take so many seconds of a training, or such a share of its time
given_up: set[str] = set()  # stores that failed in this process: a study in folds would wait for them at each


class Patience:
    """How long something has waited for a store since it began; too long is a failure like others.

    Args:
        waiter: what waits, as the warning names it.
    """

    def __init__(self, waiter: str) -> None:
        self._waiter, self._began, self._waited_s = waiter, time.monotonic(), 0.0

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count the block's time."""
        asked = time.monotonic()
        yield
        self._waited_s += time.monotonic() - asked
        if self._waited_s > max(PATIENCE_S, PATIENCE_SHARE * (time.monotonic() - self._began)):
            raise TimeoutError(f"the store is slow, {self._waiter} has waited {self._waited_s:.0f} s for it")


class LiveRun:
    """A training's run while it trains. A store that fails costs one warning and the record, never the training."""

    def __init__(self, settings: Settings, card: Mapping[str, object], run: Run) -> None:
        self._fingerprint, self._store, self._run_id = training_fingerprint(card, run), None, None
        self._patience = Patience("this training")
        if tracking_uri() in given_up:
            return
        with one_failure():
            self._store = open_store(settings.track.experiment)
            self._run_id = start_run(self._store, settings, card, run)

    def epoch(self, number: int, metrics: Mapping[str, float]) -> None:
        """Log an epoch's metrics, with the epoch as the step."""
        run_id, self._run_id = self._run_id, None  # a failure ends the logging, so that it warns once
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
def one_failure(completed_by: str = "`bonexray sync`") -> Iterator[None]:
    """A store that fails within the block ends it with a warning, and is asked no more by this process."""
    with one_warning(completed_by):
        try:
            yield
        except FAILURES:
            given_up.add(tracking_uri())
            raise


@contextmanager
def live_run(card: Mapping[str, object], run: Run = FIRST) -> Iterator[LiveRun]:
    """A run that is finished when the block ends and failed when the block raises."""
    live = LiveRun(load_settings(), card, run)
    try:
        yield live
    except BaseException:
        live.end("FAILED")
        raise
    live.end(FINISHED)


def training_fingerprint(card: Mapping[str, object], run: Run) -> str:
    """What names a training: the first one's is the model's."""
    named = str(card["fingerprint"])
    return named if run == FIRST else digest({"model": named, **asdict(run)})


def start_run(store: Store, settings: Settings, card: Mapping[str, object], run: Run) -> str:
    tags = {
        "model": card["model"],
        "dataset": settings.dataset.name,
        STAGE: "train",
        FINGERPRINT: training_fingerprint(card, run),
        "repeat": run.repeat,
        "fold": run.fold,
        "dvc_exp": os.environ.get("DVC_EXP_NAME", ""),
        "git_commit": git_commit(),
        LEAK: card["leak_suspect"],
    }
    run_id = create_run(store, str(card["model"]) + (f" {run.name}" if run != FIRST else ""), tags)
    sections = settings.model_dump(include={*LOGGED_SECTIONS})
    params = [Param(key, str(value)) for key, value in flat(sections)]
    store.client.log_batch(run_id, params=[*(Param(key, str(card[key])) for key in ("model", "mode")), *params])
    data = Dataset(settings.dataset.name, str(card["manifest_sha256"])[:32], "local", settings.dataset.root)
    store.client.log_inputs(run_id, [DatasetInput(data)])
    return run_id
