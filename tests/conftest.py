"""Fixtures: a small study on which commands and stages run, and a separate store for its record."""

import gc
import logging
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from ruamel.yaml import YAML

from bonexray.derived_params import derive_params
from bonexray.images.reading import write_png16

settings.register_profile("bonexray", deadline=None, max_examples=50)  # a busy machine must not fail a test
settings.load_profile("bonexray")
# Processes of a shell in the background ignore interrupts, and so would those that tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

REPOSITORY = Path(__file__).resolve().parents[1]
YAML_FILE = YAML(typ="safe")
SOUND = {
    "dataset.name": "folder",
    "dataset.root": "data/raw",
    "dataset.csv": None,
    "dataset.image_column": "image",
    "dataset.label_column": "label",
    "dataset.group_column": None,
    "dataset.split_column": None,
    "dataset.group_pattern": None,
    "dataset.classes": None,
    "dataset.ordered": False,
    "dataset.record": None,
    "dataset.columns": [],
    "dataset.clinical": [],
    "dataset.clinical_trusted": [],
    "dataset.reference": None,
    "dataset.inputs": ["data/raw"],
    "dataset.simulated": {},
    "split.ratios": {"train": 0.6, "val": 0.2, "test": 0.2},
    "split.subset": 1.0,
    "split.max_bad_fraction": 0.2,
    "denoise.method": "none",
    "denoise.working_px": 32,
    "prepare.img_px": 32,
    "prepare.resize": "pad",
    "weights.source": "random",
    "weights.files": {},
    "model": "compact_cnn",
    "external": {},
    **derive_params(
        {"model": "compact_cnn", "mode": "frozen", "modes": {}, "fine_tune": {"blocks": {}}, "weights": {"files": {}}}
    ),
}


class Study:
    """A folder with data/raw of two classes, and the repository's params.yaml changed by `SOUND`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.write("params.yaml", (REPOSITORY / "params.yaml").read_text(encoding="utf-8"))
        self.change(SOUND)
        for number in range(3):
            self.image(f"data/raw/normal/{number}.png", seed=number)
            self.image(f"data/raw/osteoporosis/{number}.png", seed=10 + number)

    def write(self, path: str, content: str | bytes) -> Path:
        """Write a file in the folder of the study."""
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)
        return target

    def image(self, path: str, seed: int) -> Path:
        """Write an image of 32 x 32 random pixels; the same seed gives the same bytes."""
        target = self.write(path, b"")
        write_png16(target, np.random.default_rng(seed).random((32, 32)))
        return target

    def change(self, changes: dict[str, object]) -> None:
        """Change settings by their full names, `split.seed`."""
        path = self.folder / "params.yaml"
        params = YAML_FILE.load(path)
        for name, value in changes.items():
            *sections, key = name.split(".")
            section = params
            for part in sections:
                section = section[part]
            section[key] = value
        YAML_FILE.dump(params, path)

    def check(self) -> subprocess.CompletedProcess[str]:
        """Run `bonexray check`."""
        return self.run(str(Path(sys.executable).with_name("bonexray")), "check")

    def stage(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the script of a stage as DVC does."""
        return self.run(sys.executable, str(REPOSITORY / "stages" / f"{name}.py"), *arguments)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the folder of the study, with the code of this checkout."""
        env = {**os.environ, "PYTHONPATH": str(REPOSITORY / "src")}
        env.pop("DVC_ROOT", None)
        return subprocess.run(command, cwd=self.folder, env=env, capture_output=True, text=True, timeout=600)

    def files(self) -> set[str]:
        """Return the paths of all files of the study except logs."""
        paths = (path.relative_to(self.folder) for path in self.folder.rglob("*") if path.is_file())
        return {path.as_posix() for path in paths if path.parts[0] != "logs"}


@pytest.fixture(scope="module", autouse=True)
def freed_networks() -> Iterator[None]:
    """Free the networks that the tests of a file share; together they would take gigabytes."""
    yield
    if networks := sys.modules.get("small_networks"):
        networks.network_of.cache_clear()
        networks.encoder_of.cache_clear()
    if keras := sys.modules.get("keras"):
        keras.backend.clear_session()
    gc.collect()


@pytest.fixture(scope="session")
def make_study(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Study]:
    """Return a function that makes a valid study in a new folder."""
    return lambda: Study(tmp_path_factory.mktemp("study"))


@pytest.fixture
def study(make_study: Callable[[], Study]) -> Study:
    """Return a valid study for a test to change."""
    return make_study()


@pytest.fixture(scope="session")
def trained_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a tiny study with two trained models; tests must not write to it."""
    from trained_study import run_study

    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DVC_ROOT", str(folder))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        run_study(folder)
    return folder


@pytest.fixture(scope="session")
def new_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a database with MLflow's tables and no experiment, made once because it takes a while."""
    from mlflow.tracking import MlflowClient

    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def root(tmp_path: Path, new_store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a main repository with an empty store, the working directory of the test."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("bonexray.tracking.live.given_up", set())
    monkeypatch.chdir(tmp_path)
    shutil.copy(new_store, tmp_path / "mlflow.db")
    return tmp_path


@pytest.fixture
def warnings_of(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """Return a function that returns the warnings of the library so far."""
    monkeypatch.setattr(logging.getLogger("bonexray"), "propagate", True)
    return lambda: [r.getMessage() for r in caplog.records if r.name == "bonexray" and r.levelno >= logging.WARNING]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the slowest file first, so that two processes end at about the same time."""
    items.sort(key=lambda item: item.get_closest_marker("pipeline") is None)
