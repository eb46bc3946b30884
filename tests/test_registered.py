"""The chosen model in MLflow: registered once, loaded and served elsewhere, answering as its training recorded."""

import base64
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from mlflow.tracking import MlflowClient
from trained_study import FROZEN, SCRATCH
from typer.testing import CliRunner

from bonexray.base.errors import BonexrayError
from bonexray.base.files import write_json
from bonexray.cli import app
from bonexray.data.predictions import read_predictions
from bonexray.study import Settings, load_settings
from bonexray.tracking.store import tracking_uri
from bonexray.tracking.sync import sync

pytestmark = pytest.mark.slow

CLASSES = ["osteoporosis", "normal"]
LOADED = """
import json, sys
import mlflow
import pandas as pd
model = mlflow.pyfunc.load_model("models:/bonexray@champion")
rows = [{"path": sys.argv[1]}, {"image": open(sys.argv[2], "rb").read()}, {"path": "nowhere.png"}]
print(model.predict(pd.DataFrame(rows)).to_json(orient="records"))
"""


@pytest.fixture(scope="module")
def study(trained_study: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of the study with a store of its own, in which the tests run, as a report leaves it."""
    folder = Path(shutil.copytree(trained_study, tmp_path_factory.mktemp("registered") / "study"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("DVC_ROOT", str(folder))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        for name in ("mlflow.db", "mlartifacts"):
            shutil.rmtree(name, ignore_errors=True) if Path(name).is_dir() else Path(name).unlink(missing_ok=True)
        write_json("metrics/models.json", {FROZEN: {"balanced_accuracy": 0.5}})
        write_json("metrics/ensembles.json", {})
        Path("metrics/comparison.csv").write_text("rank,model\n1,x\n")
        Path("reports/comparison").mkdir(parents=True)
        sync(asked())
        yield folder


def asked(register: bool = True) -> Settings:
    settings = load_settings()
    return settings.model_copy(update={"track": settings.track.model_copy(update={"registered": register})})


def recorded(study: Path, name: str) -> tuple[list[Path], np.ndarray]:
    rows, probabilities = read_predictions(study / "models" / name / "predictions.csv", CLASSES)
    return [study / "data/raw" / path for path in rows["path"]], probabilities


def test_the_champion_is_registered_with_what_is_to_be_known_of_it(study: Path) -> None:
    client = MlflowClient(tracking_uri())
    champion = client.get_model_version_by_alias("bonexray", "champion")
    assert champion.tags["model"] == FROZEN and len(champion.tags["digest"]) == 64
    assert client.get_run(champion.run_id).data.tags["stage"] == "aggregate"
    folder = next(study.glob("mlartifacts/*/artifacts/model"))
    text = (folder / "MLmodel").read_text()
    assert all(
        word in text for word in ("prob_osteoporosis", "osteoporosis", "input_example", "pyfunc_model.py", "digest")
    )
    assert {path.suffix for path in folder.rglob("*") if path.is_file()} <= {
        ".py",
        ".json",
        ".h5",
        ".yaml",
        ".txt",
        ".md",
        ".css",
        ".html",
        ".js",
        "",
        ".pyc",
    }
    assert not list(folder.rglob("*.pkl"))


def test_it_is_registered_once_and_only_where_asked(study: Path) -> None:
    client = MlflowClient(tracking_uri())
    assert sync(asked()) == {"trainings": 0, "evaluations": 0, "ensembles": 0, "studies": 0, "champions": 0}
    assert "champions" not in sync(asked(register=False))
    assert len(client.search_model_versions("name = 'bonexray'")) == 1


def test_a_fresh_process_loads_it_and_gives_the_recorded_probabilities(study: Path, tmp_path: Path) -> None:
    paths, probabilities = recorded(study, FROZEN)
    env = {**os.environ, "MLFLOW_TRACKING_URI": tracking_uri()}
    env.pop("PYTHONPATH", None)  # the code comes with the model
    command = [sys.executable, "-c", LOADED, str(paths[0]), str(paths[1])]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr[-2000:]
    rows = json.loads(done.stdout.splitlines()[-1])
    for row, expected in zip(rows[:2], probabilities[:2], strict=True):
        np.testing.assert_allclose([row[f"prob_{name}"] for name in CLASSES], expected, atol=1e-5)
        assert row["predicted"] in CLASSES and row["reason"] is None
    assert rows[2]["predicted"] is None and "no such file" in rows[2]["reason"]


def test_predict_takes_the_address_in_the_registry(study: Path) -> None:
    path = recorded(study, FROZEN)[0][0]
    done = CliRunner().invoke(app, ["predict", str(path), "--model", "models:/bonexray@champion"])
    assert done.exit_code == 0 and f"with {FROZEN}" in done.stderr
    for address in ("models:/bonexray@nobody", "models:/nothing/1"):
        done = CliRunner().invoke(app, ["predict", str(path), "--model", address])
        assert isinstance(done.exception, BonexrayError) and address in str(done.exception)


def test_files_that_were_replaced_in_the_store_are_refused(study: Path) -> None:
    """Also by a whole bundle, sound in itself: the registry knows another digest."""
    stored = next(study.glob("mlartifacts/*/artifacts/model/artifacts/bundle"))
    kept = shutil.move(stored, study / "kept")
    CliRunner().invoke(app, ["bundle", "--model", SCRATCH, "--out", str(stored)], catch_exceptions=False)
    path = str(recorded(study, FROZEN)[0][0])
    done = CliRunner().invoke(app, ["predict", path, "--model", "models:/bonexray@champion"])
    assert isinstance(done.exception, BonexrayError) and "digest" in str(done.exception)
    shutil.rmtree(stored)
    shutil.move(kept, stored)


# Over HTTP


@pytest.fixture(scope="module")
def address(study: Path) -> Iterator[str]:
    """A running `mlflow models serve` of the champion."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {
        **os.environ,
        "MLFLOW_TRACKING_URI": tracking_uri(),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    env.pop("PYTHONPATH", None)
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "models",
        "serve",
        "-m",
        "models:/bonexray@champion",
        "--env-manager",
        "local",
        "-h",
        "127.0.0.1",
        "-p",
        str(port),
        "-w",
        "1",
    ]
    log = study / "server.log"
    with log.open("w") as stream:
        server = subprocess.Popen(command, cwd=study, env=env, stdout=stream, stderr=stream, start_new_session=True)
    try:
        url = f"http://127.0.0.1:{port}"
        if not answers(f"{url}/ping", server, 120):
            pytest.skip(f"mlflow models serve does not start here: {log.read_text()[-300:]}")
        yield url
    finally:
        os.killpg(server.pid, 15)
        server.wait(30)


def answers(url: str, server: subprocess.Popen, seconds: float) -> bool:
    ends = time.monotonic() + seconds
    while time.monotonic() < ends and server.poll() is None:
        try:
            return urllib.request.urlopen(url, timeout=5).status == 200
        except OSError:
            time.sleep(0.2)
    return False


def scored(url: str, rows: list[dict[str, object]]) -> list[dict[str, object]]:
    body = json.dumps({"dataframe_records": rows}).encode()
    request = urllib.request.Request(f"{url}/invocations", body, {"Content-Type": "application/json"})
    return json.load(urllib.request.urlopen(request, timeout=60))["predictions"]


def test_a_server_answers_over_http(study: Path, address: str, record_property) -> None:
    paths, probabilities = recorded(study, FROZEN)
    rows = [{"image": base64.b64encode(path.read_bytes()).decode()} for path in paths]
    for found, expected in zip(scored(address, rows), probabilities, strict=True):
        np.testing.assert_allclose([found[f"prob_{name}"] for name in CLASSES], expected, atol=1e-5)
    times = []
    for row in rows:
        started = time.perf_counter()
        scored(address, [row])
        times.append(time.perf_counter() - started)
    print(f"scoring one X-ray over HTTP: {1000 * np.median(times):.1f} ms, median of {len(times)}")


def test_a_server_reads_no_paths_and_says_what_it_cannot_answer(study: Path, address: str) -> None:
    rows = [{"path": str(recorded(study, FROZEN)[0][0])}, {"image": base64.b64encode(b"no X-ray").decode()}]
    for row, reason in zip(rows, ("does not read paths", "looks like text"), strict=True):
        (found,) = scored(address, [row])
        assert found["predicted"] is None and reason in found["reason"]
    pixels = np.linspace(0, 1, 100).reshape(10, 10).tolist()
    assert scored(address, [{"pixels": pixels}])[0]["predicted"] in CLASSES
