"""Relative stores, and repositories that were moved or copied with their store."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient
from records import EXPERIMENT, artifacts_of, runs, write_settings, write_study

from bonexray.tracking.address import database_file, tracking_uri
from bonexray.tracking.store import open_store
from bonexray.tracking.sync import sync

# Addresses


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (None, "sqlite:///{root}/mlflow.db"),
        ("", "sqlite:///{root}/mlflow.db"),
        ("sqlite:///mlflow.db", "sqlite:///{root}/mlflow.db"),
        ("sqlite:///stores/runs.db", "sqlite:///{root}/stores/runs.db"),
        ("sqlite+pysqlite:///mlflow.db", "sqlite+pysqlite:///{root}/mlflow.db"),
        ("sqlite:///mlflow.db?timeout=60", "sqlite:///{root}/mlflow.db?timeout=60"),
        ("sqlite:////mnt/team/mlflow.db", "sqlite:////mnt/team/mlflow.db"),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("postgresql+psycopg2://mlflow@localhost/mlflow", "postgresql+psycopg2://mlflow@localhost/mlflow"),
    ],
)
def test_a_relative_store_is_the_main_repositorys_also_from_a_copy_of_it(
    root: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    address: str | None,
    expected: str,
) -> None:
    if address is not None:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    monkeypatch.chdir(tmp_path_factory.mktemp("copy"))
    assert tracking_uri() == expected.format(root=root)
    path = expected.format(root=root).partition(":///")[2].partition("?")[0]
    assert database_file() == (Path(path) if expected.startswith("sqlite") else None)


def test_runs_of_an_experiments_copy_are_in_the_relative_store_of_the_repository(
    root: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path_factory.mktemp("copy")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db")
    monkeypatch.chdir(copy)
    settings = write_settings(copy)
    write_study(copy)
    sync(settings)
    assert len(runs()) == 3 and not list(copy.glob("mlflow.db*"))
    assert artifacts_of(runs("aggregate")[0]) == ["comparison.csv", "figures"]
    assert (root / "mlartifacts").is_dir()


# Moved and copied repositories


def moved(old: Path, new: Path) -> None:
    old.rename(new)


def copied(old: Path, new: Path) -> None:
    shutil.copytree(old, new)


def copied_and_deleted_since(old: Path, new: Path) -> None:
    shutil.copytree(old, new)
    shutil.rmtree(old / "mlartifacts")


@pytest.fixture
def study(root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a repository with a study in its store, in a folder that can be moved; its name needs quoting."""
    folder = root / "here and there"
    folder.mkdir()
    shutil.move(root / "mlflow.db", folder)
    monkeypatch.setenv("DVC_ROOT", str(folder))
    monkeypatch.chdir(folder)
    write_study(folder)
    sync(write_settings(folder))
    return folder


def enter(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_ROOT", str(folder))
    monkeypatch.chdir(folder)


@pytest.mark.parametrize("transfer", [moved, copied, copied_and_deleted_since])
def test_a_store_that_was_moved_finds_its_files(
    study: Path,
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    warnings_of: Callable[[], list[str]],
    transfer: Callable[[Path, Path], None],
) -> None:
    transfer(study, new := root / "new")
    enter(new, monkeypatch)
    assert sync(write_settings(new)) == {"trainings": 0, "evaluations": 0, "ensembles": 0, "studies": 0}
    assert len(warnings_of()) == 1 and f"the files of 3 runs were in {study}/mlartifacts" in warnings_of()[0]
    for run in runs():
        assert run.info.artifact_uri.startswith((new / "mlartifacts").as_uri())
        assert artifacts_of(run)
    open_store(EXPERIMENT)
    assert len(warnings_of()) == 1


def test_a_training_after_the_move_writes_beside_the_store(
    study: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study.rename(new := root / "new")
    enter(new, monkeypatch)
    store = open_store(EXPERIMENT)
    run = store.client.create_run(store.experiment_id)
    store.client.log_text(run.info.run_id, "text", "note.txt")
    assert (new / "mlartifacts" / run.info.run_id / "artifacts" / "note.txt").is_file() and not study.exists()


def test_a_store_copied_without_its_files_keeps_those_of_the_old_runs(
    study: Path, root: Path, monkeypatch: pytest.MonkeyPatch, warnings_of: Callable[[], list[str]]
) -> None:
    new = root / "new"
    new.mkdir()
    shutil.copy(study / "mlflow.db", new)
    enter(new, monkeypatch)
    store = open_store(EXPERIMENT)
    assert warnings_of() == [] and all(artifacts_of(run) for run in runs())
    assert store.client.get_experiment(store.experiment_id).artifact_location == (new / "mlartifacts").as_uri()


def test_files_that_were_not_moved_along_are_named(
    study: Path, root: Path, monkeypatch: pytest.MonkeyPatch, warnings_of: Callable[[], list[str]]
) -> None:
    study.rename(new := root / "new")
    shutil.rmtree(new / "mlartifacts")
    enter(new, monkeypatch)
    open_store(EXPERIMENT)
    assert len(warnings_of()) == 1 and "missing, copy it here" in warnings_of()[0]


@pytest.mark.parametrize("location", ["s3://bucket/mlartifacts", "mlflow-artifacts:/1", "/mnt/team/files", ""])
def test_locations_that_the_user_chose_stay(root: Path, warnings_of: Callable[[], list[str]], location: str) -> None:
    client = MlflowClient(tracking_uri())
    number = client.create_experiment(EXPERIMENT, location or (root / "own").as_uri())
    before = client.get_experiment(number).artifact_location
    open_store(EXPERIMENT)
    assert client.get_experiment(number).artifact_location == before and warnings_of() == []


def test_two_repositories_that_share_a_store_keep_their_files_in_one_place(
    root: Path, monkeypatch: pytest.MonkeyPatch, warnings_of: Callable[[], list[str]]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{root / 'mlflow.db'}")
    for name in ("one", "two"):
        (root / name).mkdir()
        enter(root / name, monkeypatch)
        store = open_store(EXPERIMENT)
    assert warnings_of() == []
    assert store.client.get_experiment(store.experiment_id).artifact_location == (root / "mlartifacts").as_uri()
