"""The same record on a server: PostgreSQL and `mlflow server` as docs/team.md starts them, on this machine alone."""

import logging
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from mlflow.tracking import MlflowClient
from records import CARD, EPOCH, artifacts_of, at_once, runs, steps_of, train_live, write_settings, write_study
from ruamel.yaml import YAML

from bonexray.base.files import read_json
from bonexray.study import Settings
from bonexray.tracking import live
from bonexray.tracking.live import live_run
from bonexray.tracking.sync import sync, try_to_sync

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/team.md").read_text(encoding="utf-8")
INITDB = max(Path("/usr/lib/postgresql").glob("*/bin/initdb"), default=None)
PASSWORD = "correct-horse-battery"
COMMAND = re.search(r"^mlflow server (?:.|\\\n)*?--serve-artifacts$", PAGE, re.M)[0].replace("\\\n", " ").split()
needs_postgresql = pytest.mark.skipif(INITDB is None, reason="no PostgreSQL here: apt-get install postgresql")
pytest.importorskip("psycopg2", reason="no driver for PostgreSQL here: pip install 'bonexray[server]'")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(answers: Callable[[], bool], process: subprocess.Popen, seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not answers():
        assert process.poll() is None and time.monotonic() < deadline, f"{process.args} does not answer"
        time.sleep(0.1)


def end(process: subprocess.Popen) -> None:
    process.kill()
    process.wait()


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    """The address of a database, without its password, which PostgreSQL asks for."""
    owner = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}  # refuses root
    folder, port = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp")), free_port()  # a socket's path must be short
    (folder / "password").write_text(PASSWORD)
    if owner:
        shutil.chown(folder, "postgres")
    options = ["-D", folder / "data", "-U", "mlflow", "-A", "scram-sha-256", f"--pwfile={folder / 'password'}", "-N"]
    subprocess.run([INITDB, *options], check=True, capture_output=True, cwd=folder, **owner)
    options = ["-D", folder / "data", "-p", str(port), "-h", "127.0.0.1", "-k", folder, "-c", "fsync=off"]
    log = (folder / "log").open("w")
    process = subprocess.Popen([INITDB.with_name("postgres"), *options], cwd=folder, stdout=log, stderr=log, **owner)
    ready = [INITDB.with_name("pg_isready"), "-h", "127.0.0.1", "-p", str(port), "-q"]
    wait_until(lambda: subprocess.run(ready, check=False).returncode == 0, process)
    yield f"postgresql+psycopg2://mlflow@127.0.0.1:{port}/postgres"
    end(process)
    shutil.rmtree(folder)


class Server:
    """`mlflow server`, which can be killed and started again at the same address."""

    def __init__(self, folder: Path, database: str) -> None:
        self.folder, self.database, self.port = folder, database, free_port()
        self.start()

    def start(self) -> None:
        """The page's command, with this test's database, port and folder."""
        own = {
            "--port": self.port,
            "--backend-store-uri": self.database,
            "--artifacts-destination": self.folder / "files",
        }
        command = [sys.executable, "-m", *COMMAND, "--workers", "1"]
        for flag, value in own.items():
            command[command.index(flag) + 1] = str(value)
        environment = {**os.environ, "PGPASSWORD": PASSWORD, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        environment.pop("MLFLOW_TRACKING_URI", None)
        log = (self.folder / "server.log").open("a")
        self.process = subprocess.Popen(
            command, cwd=self.folder, env=environment, stdout=log, stderr=log, start_new_session=True
        )
        wait_until(self.answers, self.process)

    def answers(self) -> bool:
        try:
            return requests.get(f"http://127.0.0.1:{self.port}/health", timeout=5).ok
        except requests.ConnectionError:
            return False

    def kill(self) -> None:
        """As a power cut does: the server and its workers at once."""
        os.killpg(self.process.pid, 9)
        self.process.wait()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, database: str) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("server"), database)
    yield running
    running.kill()


@pytest.fixture
def root(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A repository that logs to the server, with a name and a password in the address; the record is empty."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://researcher:{PASSWORD}@127.0.0.1:{server.port}")
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setattr(live, "given_up", set())
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    client = MlflowClient()
    for run in runs():
        client.delete_run(run.info.run_id)


@pytest.fixture
def settings(root: Path) -> Settings:
    """The settings of a study of two models, which are also in params.yaml."""
    return write_settings(root)


@needs_postgresql
def test_training_and_sync_leave_the_whole_study_on_the_server(root: Path, server: Server, settings: Settings):
    write_study(root)
    train_live(card=read_json(root / "models/densenet121/model.json"))
    (live,) = runs()
    assert (live.info.status, steps_of(live, "loss")) == ("FINISHED", [(1, 1.0), (2, 0.5)])
    assert sync(settings) == {"trainings": 1, "evaluations": 2, "ensembles": 0, "studies": 1}
    assert sync(settings) == {"trainings": 0, "evaluations": 0, "ensembles": 0, "studies": 0}
    trained = next(run for run in runs("train") if run.data.tags["model"] == "densenet121")
    assert trained.info.run_id == live.info.run_id and trained.data.metrics["test/accuracy"] == 0.5
    assert trained.info.artifact_uri.startswith("mlflow-artifacts:")
    assert artifacts_of(trained, "evaluation") == ["evaluation/densenet121_confusion_matrix.png"]
    files = [path.name for path in (server.folder / "files").rglob("*") if path.is_file()]
    assert {"densenet121_confusion_matrix.png", "comparison.csv"} <= set(files)


@needs_postgresql
def test_a_server_that_dies_during_an_epoch_costs_one_warning_and_sync_makes_the_record_whole_once(
    root: Path, server: Server, settings: Settings, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(logging.getLogger("bonexray"), "propagate", True)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    write_study(root)
    trained = []
    with live_run(read_json(root / "models/densenet121/model.json")) as run:
        for number in (1, 2, 3):
            if number == 2:
                server.kill()
            run.epoch(number, EPOCH)
            trained.append(number)
    try_to_sync()
    warnings = [record.getMessage() for record in caplog.records if record.name == "bonexray"]
    assert trained == [1, 2, 3] and len(warnings) == 2
    assert all("`bonexray sync` completes" in text and PASSWORD not in text for text in warnings)
    server.start()
    assert [run.info.status for run in runs()] == ["RUNNING"]
    assert sync(settings) == {"trainings": 2, "evaluations": 2, "ensembles": 0, "studies": 1}
    assert sync(settings)["trainings"] == 0
    assert sorted((run.info.status, run.data.tags["model"]) for run in runs("train")) == [
        ("FINISHED", "compact_cnn"),
        ("FINISHED", "densenet121"),
    ]


@needs_postgresql
def test_four_trainings_log_at_once(root: Path, settings: Settings):
    at_once(4, lambda number: train_live(epochs=5, card={**CARD, "fingerprint": f"{number}" * 64}))
    assert sorted(run.data.tags["fingerprint"][0] for run in runs()) == list("0123")
    for run in runs():
        assert run.info.status == "FINISHED" and [step for step, _ in steps_of(run, "loss")] == [1, 2, 3, 4, 5]


@needs_postgresql
def test_credentials_in_the_address_appear_nowhere(
    root: Path, server: Server, settings: Settings, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    handler = logging.FileHandler(root / "everything.log")
    logging.getLogger().addHandler(handler)
    monkeypatch.setattr(logging.getLogger("bonexray"), "propagate", True)
    write_study(root)
    train_live()
    try_to_sync()
    printed = subprocess.run(
        [sys.executable, "-c", "from bonexray.tracking.store import *; print(without_secret(tracking_uri()))"],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    monkeypatch.setenv("MLFLOW_TRACKING_URI", os.environ["MLFLOW_TRACKING_URI"] + "/wrong")
    try_to_sync()
    monkeypatch.undo()
    logging.getLogger().removeHandler(handler)
    assert printed == f"http://127.0.0.1:{server.port}\n"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{server.port}")
    recorded = "".join(str(run.to_dictionary()) for run in runs())
    files = [*root.rglob("*.log"), *(server.folder / "files").rglob("*.*"), server.folder / "server.log"]
    written = b"".join(path.read_bytes() for path in files if path.is_file()).decode(errors="replace")
    seen = "".join([*capfd.readouterr(), recorded, written])
    assert "bonexray sync" in seen and "densenet121" in seen
    assert PASSWORD not in seen and "researcher" not in seen


# The compose file

COMPOSE = YAML(typ="safe").load(ROOT / "deploy/compose.yaml")


def test_the_compose_file_starts_what_the_page_starts():
    flags = [part for part in COMPOSE["services"]["server"]["command"].split() if part.startswith("--")]
    assert flags == [part for part in COMMAND if part.startswith("--")]


def test_the_compose_file_has_no_password_and_the_pinned_versions():
    database, server = COMPOSE["services"]["database"], COMPOSE["services"]["server"]
    assert database["environment"]["POSTGRES_PASSWORD"].startswith("${POSTGRES_PASSWORD:?")
    assert server["environment"]["PGPASSWORD"] == "${POSTGRES_PASSWORD}"
    assert server["ports"] == ["${MLFLOW_ADDRESS:-127.0.0.1}:5000:5000"]
    pinned, pin = (ROOT / "requirements.txt").read_text() + (ROOT / "pyproject.toml").read_text(), r"[\w-]+==[\d.]+"
    in_container = set(re.findall(pin, server["build"]["dockerfile_inline"]))
    assert in_container == set(re.search(r"^pip install (mlflow==.*)$", PAGE, re.M)[1].split())
    assert in_container <= set(re.findall(pin, pinned))
