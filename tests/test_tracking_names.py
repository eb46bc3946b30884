"""The name of the experiment: where it comes from, which are refused, and a deleted experiment before any work."""

from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient
from records import EXPERIMENT, runs, train_live, write_settings, write_study

from bonexray import check
from bonexray.base.errors import BonexrayError
from bonexray.study import Settings
from bonexray.tracking.deleted import DeletedExperimentError, require_not_deleted
from bonexray.tracking.search import search_run
from bonexray.tracking.settings import Track, require_usable_name
from bonexray.tracking.store import open_store, tracking_uri
from bonexray.tracking.sync import sync, try_to_sync


@pytest.fixture
def settings(root: Path) -> Settings:
    """The settings of a study of two models, which are also in params.yaml."""
    return write_settings(root)


@pytest.mark.parametrize(
    ("setting", "environment", "name"),
    [
        ("bonexray", None, "bonexray"),
        ("bonexray", "", "bonexray"),
        ("bonexray", "knees", "knees"),
        ("hips", "knees", "hips"),
        ("hips", None, "hips"),
    ],
)
def test_the_setting_precedes_the_environment_and_that_its_default(
    monkeypatch: pytest.MonkeyPatch, setting: str, environment: str | None, name: str
) -> None:
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
    if environment is not None:
        monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", environment)
    assert Track(experiment=setting).name == name


def test_runs_go_to_the_experiment_of_the_environment(
    root: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_study(root)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "knees")
    sync(settings.model_copy(update={"track": Track()}))
    client = MlflowClient(tracking_uri())
    assert client.get_experiment_by_name("bonexray") is None
    assert len(client.search_runs([client.get_experiment_by_name("knees").experiment_id])) == 3


# Names


@pytest.mark.parametrize(
    ("name", "registered", "reason"),
    [
        ("knees", True, None),
        ("Knee X-rays 2.0", True, None),
        ("膝", True, None),
        ("", False, "1 to 250 characters"),
        ("  ", False, "1 to 250 characters"),
        (" knees", False, "without spaces around it"),
        ("x" * 250, False, None),
        ("x" * 251, False, "1 to 250 characters"),
        ("team/knees", False, "without a slash.*such as team-knees"),
        ("team/knees", True, "without a slash.*such as team-knees"),
        ("/Users/anna/knees", False, "such as Users-anna-knees"),
        ("a:b", False, None),
        ("a:b", True, "such as a-b, or set track.register=false"),
        ("knee@champion", True, "track.register"),
        ("O'Hara", False, None),
        ("O'Hara", True, "such as O-Hara"),
        ('the "knee"', True, "track.register"),
        ("100%", True, "track.register"),
        ("what?", True, "track.register"),
        ("..", True, "such as bonexray"),
    ],
)
def test_a_name_that_mlflow_cannot_use_is_refused_with_another(
    root: Path, settings: Settings, name: str, registered: bool, reason: str | None
) -> None:
    track = Track(experiment=name, register=registered)
    if reason is None:
        require_usable_name(track)
        client = MlflowClient(tracking_uri())
        assert client.create_experiment(name)
        if registered:
            client.create_registered_model(name)
            assert len(client.search_registered_models(f"name = '{name}'")) == 1
        return
    with pytest.raises(BonexrayError, match=reason) as refused:
        require_usable_name(track)
    assert refused.value.what == "track.experiment" and "\n" not in str(refused.value)
    changed = settings.model_copy(update={"track": track})
    assert str(refused.value) in [str(finding) for finding in check.settings_findings(changed)]


def test_a_bad_name_in_the_environment_is_refused_under_its_own_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "team/knees")
    with pytest.raises(BonexrayError, match=r"^MLFLOW_EXPERIMENT_NAME: "):
        require_usable_name(Track())


def test_databricks_names_experiments_by_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "databricks")
    require_usable_name(Track(experiment="/Users/anna/knees"))
    with pytest.raises(BonexrayError, match="slash"):
        require_usable_name(Track(experiment="/Users/anna/knees", register=True))


# A deleted experiment


@pytest.fixture
def deleted(root: Path, settings: Settings) -> str:
    """Delete the experiment; return its ID."""
    store = open_store(EXPERIMENT)
    store.client.delete_experiment(store.experiment_id)
    return store.experiment_id


def test_a_training_into_a_deleted_experiment_does_not_begin(root: Path, deleted: str) -> None:
    with pytest.raises(DeletedExperimentError, match=f"`mlflow experiments restore -x {deleted}`"):
        train_live()


def test_a_search_into_a_deleted_experiment_does_not_begin(root: Path, deleted: str, settings: Settings) -> None:
    with pytest.raises(DeletedExperimentError), search_run(settings, "densenet121", "5" * 64):
        raise AssertionError("it has begun")


def test_a_sync_into_a_deleted_experiment_says_how_to_restore_it(root: Path, deleted: str, settings: Settings) -> None:
    write_study(root)
    with pytest.raises(BonexrayError, match=f"restore -x {deleted}") as refused:
        sync(settings)
    assert "has space" not in str(refused.value)


def test_a_report_is_not_lost_by_a_deleted_experiment(root: Path, deleted: str, warnings_of) -> None:
    write_study(root)
    try_to_sync()
    assert len(warnings_of()) == 1 and f"restore -x {deleted}" in warnings_of()[0]


def test_a_check_names_a_deleted_experiment_and_the_command_restores_it(root: Path, deleted: str) -> None:
    assert [finding for finding in check.inspect().findings if f"restore -x {deleted}" in str(finding)]
    MlflowClient(tracking_uri()).restore_experiment(deleted)
    require_not_deleted(EXPERIMENT)
    train_live()
    assert len(runs()) == 1


def test_a_check_creates_no_store(root: Path) -> None:
    (root / "mlflow.db").unlink()
    require_not_deleted(EXPERIMENT)
    assert not (root / "mlflow.db").exists()


def test_a_check_of_a_file_that_is_no_store_is_silent(root: Path) -> None:
    (root / "mlflow.db").write_text("this is no database")
    require_not_deleted(EXPERIMENT)


def test_a_check_of_a_server_that_is_down_only_warns(root: Path, monkeypatch: pytest.MonkeyPatch, warnings_of) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    require_not_deleted(EXPERIMENT)
    assert len(warnings_of()) == 1


def test_a_check_of_a_server_names_a_deleted_experiment(
    root: Path, deleted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bonexray.tracking.deleted.database_file", lambda: None)  # as on a server
    with pytest.raises(DeletedExperimentError):
        require_not_deleted(EXPERIMENT)
