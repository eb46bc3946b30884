"""What MLflow is told of a search: one run, and a run a trial below it, also when the store fails on the way."""

import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow.entities import Run
from mlflow.tracking import MlflowClient
from records import runs, steps_of, two_models, write_study

from bonexray.tracking import live
from bonexray.tracking.search import search_run
from bonexray.tracking.store import tracking_uri
from bonexray.tracking.sync import sync
from bonexray.tuning.trials import FINISHED, PRUNED, Trial

PARENT, MODEL, SEARCH = "mlflow.parentRunId", "densenet121", "5" * 64
ROWS = (
    {"epoch": 1, "loss": 1.0, "val_log_loss": 1.2, "val_accuracy": 0.5},
    {"epoch": 2, "loss": 0.5, "val_log_loss": 1.1, "val_accuracy": 0.6},
)
TRIALS = [
    Trial(0, FINISHED, {"train.head": "standard", "train.learning_rate": 0.001}, ROWS),
    Trial(1, PRUNED, {"train.head": "bare", "train.learning_rate": 0.01}, ROWS[:1]),
    Trial(2, PRUNED, {"train.head": "bare", "train.learning_rate": 0.1}, ()),  # diverged in its first epoch
]


@pytest.fixture(scope="module")
def new_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with MLflow's tables; it takes a while to make."""
    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture(autouse=True)
def root(tmp_path: Path, new_store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with an empty store."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(live, "given_up", set())
    monkeypatch.chdir(tmp_path)
    shutil.copy(new_store, tmp_path / "mlflow.db")
    return tmp_path


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """What the library has warned of so far."""
    monkeypatch.setattr(logging.getLogger("bonexray"), "propagate", True)
    return lambda: [r.getMessage() for r in caplog.records if r.name == "bonexray" and r.levelno >= logging.WARNING]


def log(trials: list[Trial] = TRIALS, override: Path | None = None) -> None:
    with search_run(two_models(), MODEL, SEARCH) as record:
        for trial in trials:
            record.trial(trial)
        if override:
            record.winner(trials, override)


def only_search() -> Run:
    (found,) = runs("tune")
    return found


def children() -> list[Run]:
    return sorted(runs("trial"), key=lambda run: int(run.data.tags["trial"]))


def assert_whole() -> None:
    """The search once, and each trial once below it."""
    assert [run.data.tags["trial"] for run in children()] == ["0", "1", "2"]
    assert {run.data.tags[PARENT] for run in children()} == {only_search().info.run_id}
    assert "RUNNING" not in {run.info.status for run in runs()}


def test_a_search_is_a_run_with_a_run_a_trial_below_it(root: Path) -> None:
    override = root / "densenet121.yaml"
    override.write_text("train: {}\n")
    log(override=override)
    assert_whole()
    parent, (first, second, _) = only_search(), children()
    assert (parent.info.run_name, parent.info.status) == ("tune densenet121", "FINISHED")
    assert parent.data.metrics == {"best/trial": 0.0, "best/val_log_loss": 1.1, "present/val_log_loss": 1.1}
    files = MlflowClient(tracking_uri()).list_artifacts(parent.info.run_id)
    assert [file.path for file in files] == ["densenet121.yaml"]
    assert (first.info.status, second.info.status) == ("FINISHED", "KILLED")
    assert [run.data.tags["state"] for run in children()] == [FINISHED, PRUNED, PRUNED]
    assert first.data.params == {"train.head": "standard", "train.learning_rate": "0.001"}
    assert steps_of(first, "val_log_loss") == [(1, 1.2), (2, 1.1)] and steps_of(second, "val_log_loss") == [(1, 1.2)]


def test_a_search_that_is_taken_up_again_goes_on_in_its_run() -> None:
    log(TRIALS[:1])
    own = only_search().info.run_id
    log()
    log()
    assert only_search().info.run_id == own
    assert_whole()


def test_an_interrupted_search_is_marked_until_it_goes_on() -> None:
    with pytest.raises(KeyboardInterrupt), search_run(two_models(), MODEL, SEARCH) as record:
        record.trial(TRIALS[0])
        raise KeyboardInterrupt
    assert only_search().info.status == "KILLED"
    log()
    assert only_search().info.status == "FINISHED"
    assert_whole()


def broken(*_arguments: object, **_options: object) -> None:
    raise OSError("No space left on device")


@pytest.mark.parametrize("call", ["create_experiment", "create_run", "log_batch", "search_runs", "set_terminated"])
def test_a_store_that_fails_costs_one_warning_and_the_next_search_completes_the_record(
    monkeypatch: pytest.MonkeyPatch, warnings: Callable[[], list[str]], call: str
) -> None:
    with monkeypatch.context() as full:
        full.setattr(MlflowClient, call, broken)
        log()
    assert len(warnings()) == 1 and "the same `bonexray tune` completes the record" in warnings()[0]
    monkeypatch.setattr(live, "given_up", set())  # another process
    log()
    assert_whole()


def test_a_trial_that_was_left_half_logged_is_logged_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    log(TRIALS[:1])
    client, child = MlflowClient(tracking_uri()), children()[0]
    client.update_run(child.info.run_id, status="RUNNING")
    log()
    assert_whole()
    assert child.info.run_id not in {run.info.run_id for run in children()}


def test_a_long_training_is_logged_in_parts() -> None:
    rows = tuple({"epoch": epoch, "loss": 1.0, "val_log_loss": 1.0} for epoch in range(1, 701))
    log([Trial(0, FINISHED, {}, rows)])
    assert len(steps_of(children()[0], "val_log_loss")) == 700


def test_sync_neither_counts_nor_deletes_a_search(root: Path) -> None:
    write_study(root)
    log()
    before = {run.info.run_id for run in runs()}
    assert sync(two_models())["trainings"] == 2
    assert sum(sync(two_models()).values()) == 0
    assert before <= {run.info.run_id for run in runs()}
    log()
    assert_whole()
