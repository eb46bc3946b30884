"""The MLflow run of a search for settings, with one nested run per trial."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mlflow.entities import Metric, Param
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from bonexray.base.hashing import digest
from bonexray.study import Settings
from bonexray.tracking.live import Patience, given_up, one_failure
from bonexray.tracking.store import (
    FINGERPRINT,
    FINISHED,
    STAGE,
    create_run,
    metrics_of,
    open_store,
    runs_of,
    tracking_uri,
)
from bonexray.train.objective import MONITOR
from bonexray.tuning.trials import PRUNED, Trial, best_of

SEARCH, TRIAL, NUMBER, STATE = "tune", "trial", "trial", "state"  # two values of the tag `stage`, and two tags
STATUS = {PRUNED: "KILLED"}  # trial's state to MLflow's status; all other states are finished
AGAIN = "the same `bonexray tune`"
MAX_RUNS, BATCH = 50_000, 1000  # MLflow's limits on runs and metrics per request


class SearchRun:
    """The MLflow run of a search. If the store fails, it warns once; running the search again completes the record.

    Args:
        settings: the settings of the study.
        model: the model whose settings are searched.
        fingerprint: the fingerprint of the search; a resumed search continues its run.
    """

    def __init__(self, settings: Settings, model: str, fingerprint: str) -> None:
        self._settings, self._model, self._fingerprint = settings, model, fingerprint
        self._patience, self._run_id, self._logged = Patience("this search"), None, set[int]()
        if tracking_uri() in given_up:
            return
        with one_failure(AGAIN, refuses=True), self._patience.waiting():
            self._store = open_store(settings.track.name)
            run_id = self._own_run()
            self._logged = self._logged_trials(run_id)
            self._run_id = run_id

    def trial(self, trial: Trial) -> None:
        """Log a finished trial, unless it is already logged."""
        run_id, self._run_id = self._run_id, None  # stays None after a failure, so that there is one warning
        if run_id is None:
            return
        with one_failure(AGAIN), self._patience.waiting():
            if trial.number not in self._logged:
                self._log(run_id, trial)
            self._run_id = run_id

    def winner(self, trials: list[Trial], override: Path) -> None:
        """Log the best trial and the file with its settings."""
        run_id, self._run_id = self._run_id, None
        if run_id is None:
            return
        with one_failure(AGAIN), self._patience.waiting():
            best, present = best_of(trials), trials[0]
            metrics = {"best/trial": best.number, "best/val_log_loss": best.score}
            metrics |= {"present/val_log_loss": present.score} if present.history else {}
            self._store.client.log_batch(run_id, metrics_of(metrics, step=len(trials)))
            self._store.client.log_artifact(run_id, str(override))
            self._run_id = run_id

    def end(self, status: str) -> None:
        """End the run; a resumed search opens it again."""
        if self._run_id is not None:
            with one_failure(AGAIN):
                self._store.client.set_terminated(self._run_id, status)

    def _own_run(self) -> str:
        earlier = runs_of(self._store, self._fingerprint)
        if earlier:
            self._store.client.update_run(earlier[0].info.run_id, status="RUNNING")
            return earlier[0].info.run_id
        note = f"Search for settings of {self._model}, judged on validation; each trial is a run below this one"
        tags = self._tags(SEARCH, self._fingerprint)
        run_id = create_run(self._store, f"{SEARCH} {self._model}", tags, self._command, note)
        self._store.client.log_batch(run_id, params=[Param("model", self._model), Param("minimised", MONITOR)])
        return run_id

    def _logged_trials(self, run_id: str) -> set[int]:
        """Return the numbers of the logged trials; delete trials whose logging was interrupted."""
        query = f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{run_id}'"
        runs = self._store.client.search_runs([self._store.experiment_id], query, max_results=MAX_RUNS)
        for run in runs:
            if run.info.status == "RUNNING":
                self._store.client.delete_run(run.info.run_id)
        return {int(run.data.tags[NUMBER]) for run in runs if run.info.status != "RUNNING"}

    def _log(self, parent: str, trial: Trial) -> None:
        own = digest({SEARCH: self._fingerprint, NUMBER: trial.number})
        tags = {MLFLOW_PARENT_RUN_ID: parent, NUMBER: f"{trial.number}", STATE: trial.state, **self._tags(TRIAL, own)}
        note = f"Trial {trial.number} of a search for settings of {self._model}"
        run_id = create_run(self._store, f"{self._model} trial {trial.number}", tags, self._command, note)
        params = [Param(setting, str(value)) for setting, value in trial.changes.items()]
        self._store.client.log_batch(run_id, params=params)
        metrics = _metrics(trial)
        for start in range(0, len(metrics), BATCH):
            self._store.client.log_batch(run_id, metrics[start : start + BATCH])
        self._store.client.set_terminated(run_id, STATUS.get(trial.state, FINISHED))
        self._logged.add(trial.number)

    @property
    def _command(self) -> str:
        return f"bonexray tune --model {self._model}"

    def _tags(self, stage: str, fingerprint: str) -> Mapping[str, object]:
        return {
            "model": self._model,
            "dataset": self._settings.dataset.name,
            STAGE: stage,
            FINGERPRINT: fingerprint,
        }


def _metrics(trial: Trial) -> list[Metric]:
    epochs = [
        metric
        for row in trial.history
        for metric in metrics_of({key: row[key] for key in row if key != "epoch"}, step=int(row["epoch"]))
    ]
    now = int(time.time() * 1000)
    return epochs + ([Metric("best/val_log_loss", trial.score, now, 0)] if trial.history else [])


@contextmanager
def search_run(settings: Settings, model: str, fingerprint: str) -> Iterator[SearchRun]:
    """Yield a run, marked as finished when the block ends, killed on an interrupt, and failed on an error."""
    run = SearchRun(settings, model, fingerprint)
    try:
        yield run
    except KeyboardInterrupt:
        run.end("KILLED")
        raise
    except BaseException:
        run.end("FAILED")
        raise
    run.end(FINISHED)
