"""A small study in a folder of its own, on which commands and stages are run, and a store of its own for its record."""

import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from ruamel.yaml import YAML

from bonexray.images.reading import write_png16
from bonexray.wiring import derived

settings.register_profile("bonexray", deadline=None, max_examples=50)  # a busy machine is no failure
settings.load_profile("bonexray")

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
    **derived(
        {"model": "compact_cnn", "mode": "frozen", "modes": {}, "fine_tune": {"blocks": {}}, "weights": {"files": {}}}
    ),
}


class Study:
    """A folder with params.yaml, the repository's own with `SOUND` over it, and data/raw with two classes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.write("params.yaml", (REPOSITORY / "params.yaml").read_text(encoding="utf-8"))
        self.change(SOUND)
        for number in range(3):
            self.image(f"data/raw/normal/{number}.png", seed=number)
            self.image(f"data/raw/osteoporosis/{number}.png", seed=10 + number)

    def write(self, path: str, content: str | bytes) -> Path:
        """Write a file below the study's folder."""
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)
        return target

    def image(self, path: str, seed: int) -> Path:
        """Write 32 x 32 random pixels; the same seed gives the same bytes."""
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
        """`bonexray check`."""
        return self.run(str(Path(sys.executable).with_name("bonexray")), "check")

    def stage(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A stage's script, as DVC calls it."""
        return self.run(sys.executable, str(REPOSITORY / "stages" / f"{name}.py"), *arguments)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """A command in the study's folder, with the code of this checkout."""
        env = {**os.environ, "PYTHONPATH": str(REPOSITORY / "src")}
        env.pop("DVC_ROOT", None)
        return subprocess.run(command, cwd=self.folder, env=env, capture_output=True, text=True, timeout=120)

    def files(self) -> set[str]:
        """Everything below the folder except logs."""
        paths = (path.relative_to(self.folder) for path in self.folder.rglob("*") if path.is_file())
        return {path.as_posix() for path in paths if path.parts[0] != "logs"}


@pytest.fixture(scope="session")
def make_study(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Study]:
    """A function that makes a sound study in a folder of its own."""
    return lambda: Study(tmp_path_factory.mktemp("study"))


@pytest.fixture
def study(make_study: Callable[[], Study]) -> Study:
    """A sound study, to be made unsound."""
    return make_study()


@pytest.fixture(scope="session")
def served_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny study whose stages have run; read it, and write elsewhere."""
    from served import run_study

    folder = tmp_path_factory.mktemp("served")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DVC_ROOT", str(folder))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        run_study(folder)
    return folder


@pytest.fixture(scope="session")
def new_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with MLflow's tables and no experiment of the study; it takes a while to make."""
    from mlflow.tracking import MlflowClient

    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def root(tmp_path: Path, new_store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The main repository with an empty store of its own, in which the test runs."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr("bonexray.tracking.live.given_up", set())
    monkeypatch.chdir(tmp_path)
    shutil.copy(new_store, tmp_path / "mlflow.db")
    return tmp_path


@pytest.fixture
def warnings_of(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """What the library has warned of so far."""
    monkeypatch.setattr(logging.getLogger("bonexray"), "propagate", True)
    return lambda: [r.getMessage() for r in caplog.records if r.name == "bonexray" and r.levelno >= logging.WARNING]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the file that takes longest, so that two processes end at about the same time."""
    items.sort(key=lambda item: item.get_closest_marker("pipeline") is None)
