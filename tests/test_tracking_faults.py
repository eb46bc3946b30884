"""Slow, full, locked or wrong stores, killed processes, and two at once: no run is lost or duplicated."""

import errno
import os
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from filelock import FileLock, Timeout
from mlflow.store.db.utils import sql
from mlflow.tracking import MlflowClient
from records import CARD, EPOCH, EXPERIMENT, at_once, runs, steps_of, train_live, write_settings, write_study

from bonexray.base.errors import BonexrayError
from bonexray.base.files import read_json
from bonexray.data.folds import FIRST
from bonexray.study import Settings
from bonexray.tracking import live
from bonexray.tracking import sync as sync_module
from bonexray.tracking.live import live_run, start_run
from bonexray.tracking.store import CLIENT_DEFAULTS, TrackingStore, open_store, without_secret
from bonexray.tracking.sync import sync, try_to_sync

WHOLE = {"trainings": 2, "evaluations": 2, "ensembles": 0, "studies": 1}
NOTHING = dict.fromkeys(WHOLE, 0)


@pytest.fixture
def settings(root: Path) -> Settings:
    """The settings of a study of two models, which are also in params.yaml."""
    return write_settings(root)


@pytest.fixture
def root(root: Path) -> Path:
    """Return a main repository with a trained study."""
    write_study(root)
    return root


def card_of(root: Path, name: str = "densenet121") -> dict:
    return read_json(root / f"models/{name}/model.json")


def assert_whole(settings: Settings) -> None:
    """Assert that every run exists once, finished, and that another sync adds nothing."""
    assert sync(settings) == NOTHING
    found = runs()
    assert {run.info.status for run in found} == {"FINISHED"}
    assert sorted(run.data.tags["model"] for run in runs("train")) == ["compact_cnn", "densenet121"]
    assert len(found) == 3 and len({run.data.tags["fingerprint"] for run in found}) == 3
    assert all(steps_of(run, "loss") == [(1, 1.0), (2, 0.5)] for run in runs("train"))


# Stores that fail while a training goes on


def full_disk(*_arguments: object, **_options: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("call", ["create_experiment", "create_run", "log_batch", "log_inputs", "set_terminated"])
def test_a_full_disk_costs_one_warning_and_sync_completes_the_record(
    root: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch, warnings_of: Callable[[], list[str]], call: str
):
    with monkeypatch.context() as full:
        full.setattr(MlflowClient, call, full_disk)
        train_live(epochs=3, card=card_of(root))
    assert len(warnings_of()) == 1 and "No space left on device" in warnings_of()[0]
    assert sync(settings) == WHOLE
    assert_whole(settings)


@pytest.mark.parametrize("call", ["log_batch", "log_artifacts", "log_artifact", "set_tag", "set_terminated"])
def test_a_sync_on_a_full_disk_is_one_line_and_the_next_one_goes_on(
    root: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch, call: str
):
    with monkeypatch.context() as full:
        full.setattr(MlflowClient, call, full_disk)
        with pytest.raises(BonexrayError, match=r"No space left on device.*run `bonexray sync` again"):
            sync(settings)
    sync(settings)
    assert_whole(settings)


def test_a_locked_database_costs_one_warning_and_nothing_is_lost(
    root: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch, warnings_of: Callable[[], list[str]]
):
    text = sql.text  # MLflow waits 20 seconds for a lock; here a fifth of one
    monkeypatch.setattr(sql, "text", lambda query: text(query.replace("busy_timeout = 20000", "busy_timeout = 200")))
    open_store(EXPERIMENT)
    holder = sqlite3.connect(root / "mlflow.db", isolation_level=None)
    with live_run(card_of(root)) as run:
        run.epoch(1, EPOCH)
        holder.execute("BEGIN EXCLUSIVE")
        run.epoch(2, EPOCH)
        run.epoch(3, EPOCH)
    holder.execute("ROLLBACK")
    assert len(warnings_of()) == 1 and "locked" in warnings_of()[0]
    assert sync(settings) == WHOLE
    assert_whole(settings)


@pytest.fixture
def silent() -> Iterator[str]:
    """Yield the address of a server that accepts connections and never responds."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_a_server_that_hangs_is_waited_for_once_and_not_for_long(
    root: Path, settings: Settings, silent: str, monkeypatch: pytest.MonkeyPatch, warnings_of: Callable[[], list[str]]
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", silent)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    began = time.monotonic()
    train_live(epochs=50, card=card_of(root))
    assert time.monotonic() - began < 5
    assert len(warnings_of()) == 1 and "bonexray sync" in warnings_of()[0]


def test_a_study_in_folds_does_not_retry_a_store_that_failed(
    root: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch, warnings_of: Callable[[], list[str]]
):
    with monkeypatch.context() as full:
        full.setattr(MlflowClient, "log_batch", full_disk)
        for _ in range(5):
            train_live(card=card_of(root))
    assert len(warnings_of()) == 1
    assert sync(settings) == WHOLE
    assert_whole(settings)


def test_a_store_that_delays_a_training_too_long_is_given_up(
    root: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch, warnings_of: Callable[[], list[str]]
):
    log_batch = MlflowClient.log_batch

    def slow(*arguments: object, **options: object) -> None:
        time.sleep(0.02)
        log_batch(*arguments, **options)

    with monkeypatch.context() as slowly:
        slowly.setattr(MlflowClient, "log_batch", slow)
        slowly.setattr(live, "PATIENCE_S", 0.1)
        train_live(epochs=50, card=card_of(root))
    assert len(warnings_of()) == 1 and "the store is slow" in warnings_of()[0]
    assert sync(settings) == WHOLE
    assert_whole(settings)


def test_timeouts_are_short_unless_the_user_sets_them(root: Path, monkeypatch: pytest.MonkeyPatch):
    for name in CLIENT_DEFAULTS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "120")
    open_store(EXPERIMENT)
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "120"
    assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "2"


class Portal(BaseHTTPRequestHandler):
    """Another service instead of MLflow, such as a login page."""

    page = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.page)

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_arguments: object) -> None:
        """Print nothing."""


@pytest.mark.parametrize(
    "page",
    [
        b"<html>Welcome</html>",
        b"{}",
        b"[]",
        b"null",
        b'"ok"',
        b'{"experiment": 3}',
        b'{"experiment": {"experiment_id": "1"}}',
        b"",
    ],
)
def test_another_service_in_the_servers_place_costs_one_warning(
    root: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch, warnings_of: Callable[[], list[str]], page: bytes
):
    monkeypatch.setattr(Portal, "page", page)
    portal = ThreadingHTTPServer(("127.0.0.1", 0), Portal)
    threading.Thread(target=portal.serve_forever, daemon=True).start()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{portal.server_port}")
    train_live(card=card_of(root))
    assert len(warnings_of()) == 1
    portal.shutdown()
    portal.server_close()


# What a process that died leaves behind


def test_what_a_killed_training_left_is_deleted_when_sync_makes_the_whole_run(root: Path, settings: Settings):
    card = card_of(root)
    start_run(open_store(EXPERIMENT), settings, card, FIRST)  # killed after this
    with pytest.raises(KeyboardInterrupt), live_run(card):
        raise KeyboardInterrupt
    assert sorted(run.info.status for run in runs()) == ["FAILED", "RUNNING"]
    assert sync(settings) == WHOLE
    assert {run.info.status for run in runs()} == {"FINISHED"}
    assert_whole(settings)


def test_what_a_killed_training_left_is_deleted_when_the_next_one_was_whole(root: Path, settings: Settings):
    start_run(open_store(EXPERIMENT), settings, card_of(root), FIRST)
    time.sleep(0.002)  # a store counts in milliseconds
    train_live(card=card_of(root))
    assert sync(settings)["trainings"] == 1
    assert_whole(settings)


def test_a_training_in_progress_is_left_alone(root: Path, settings: Settings):
    sync(settings)
    time.sleep(0.002)
    with live_run(card_of(root)) as again:
        assert sync(settings) == NOTHING
        again.epoch(1, EPOCH)
    (kept,) = [run for run in runs("train") if run.data.tags["model"] == "densenet121"]
    assert steps_of(kept, "loss") == [(1, 1.0)]


def test_a_duplicate_is_deleted(root: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch):
    """The store failed between the end of a run and the deletion of the earlier one."""
    sync(settings)
    with monkeypatch.context() as fails:
        fails.setattr(MlflowClient, "delete_run", full_disk)
        train_live(card=card_of(root))
    assert len(runs("train")) == 3
    sync(settings)
    assert_whole(settings)


# Two at once


def test_two_syncs_at_once_in_one_repository_create_every_run_once(
    root: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    make = sync_module._training_from_files

    def slower(*what: object) -> str:
        time.sleep(0.3)  # so that both are at work
        return make(*what)

    monkeypatch.setattr(sync_module, "_training_from_files", slower)
    assert sorted(map(str, at_once(2, lambda _: sync(settings)))) == sorted(map(str, [WHOLE, NOTHING]))
    assert_whole(settings)


def test_a_sync_keeps_others_of_its_repository_waiting(root: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch):
    def opened_behind_a_lock(experiment: str) -> TrackingStore:
        with pytest.raises(Timeout):
            FileLock(root / ".bonexray/sync.lock", timeout=0).acquire()
        return open_store(experiment)

    monkeypatch.setattr(sync_module, "open_store", opened_behind_a_lock)
    assert sync(settings) == WHOLE


def test_two_machines_that_sync_at_once_to_one_store_create_every_run_once(
    root: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    """The other machine, which shares no lock, creates each run at the same time and finishes first."""
    other_machine, make = [], sync_module._training_from_files

    def slower(store: TrackingStore, *what: object) -> str:
        other_machine.append(make(store, *what))
        time.sleep(0.002)
        return make(store, *what)

    monkeypatch.setattr(sync_module, "_training_from_files", slower)
    assert sync(settings) == {**WHOLE, "trainings": 0}
    assert sorted(run.info.run_id for run in runs("train")) == sorted(other_machine)
    monkeypatch.undo()


def test_four_trainings_log_at_once_into_one_file(root: Path, settings: Settings):
    at_once(4, lambda number: train_live(epochs=5, card={**CARD, "fingerprint": f"{number}" * 64}))
    assert len(runs()) == 4
    for run in runs():
        assert run.info.status == "FINISHED" and [step for step, _ in steps_of(run, "loss")] == [1, 2, 3, 4, 5]


# Secrets


@pytest.mark.parametrize(
    "address", ["http://me:pa/ss@host:5000", "http://me:p@ss@host:5000", "postgresql+psycopg2://me:p@/ss@host/mlflow"]
)
def test_a_password_of_any_characters_stays_out_of_messages(address: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    shown = without_secret(f"API request to {address}/api failed: {address}")
    assert "ss@" not in shown and "me:" not in shown and shown.count("//host") == 2


def test_a_long_message_is_not_cut_in_the_middle_of_a_password(
    root: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch, warnings_of: Callable[[], list[str]]
):
    def fails(*_arguments: object, **_options: object) -> None:
        raise ConnectionError("x" * 180 + " http://me:secret-and-long@host/")

    monkeypatch.setattr(MlflowClient, "get_experiment_by_name", fails)
    try_to_sync()
    assert len(warnings_of()) == 1 and "secret" not in warnings_of()[0]
