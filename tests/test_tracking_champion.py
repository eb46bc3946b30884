"""The alias `champion` follows the study that is checked out."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from mlflow.tracking import MlflowClient
from records import EXPERIMENT, write_settings, write_study
from typer.testing import CliRunner

from bonexray.base.files import read_json, write_json
from bonexray.cli import app
from bonexray.study import Settings
from bonexray.tracking import registered
from bonexray.tracking.registered import champion_line
from bonexray.tracking.store import tracking_uri
from bonexray.tracking.sync import sync


@pytest.fixture
def settings(root: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The settings of a study whose champion is registered; a bundle is only a file with the name of its model."""

    def save_model(bundle: Path, card: SimpleNamespace, target: Path) -> None:
        target.mkdir()
        (target / "MLmodel").write_text(card.model)

    def write_bundle(model: str, target: Path) -> SimpleNamespace:
        return SimpleNamespace(model=model, digest="d" * 64, leak_suspect=False)

    monkeypatch.setattr(registered, "save_model", save_model)
    monkeypatch.setattr("bonexray.serving.bundle.write_bundle", write_bundle)
    monkeypatch.setattr("bonexray.serving.study.study_bundle", lambda settings, name: name)
    write_study(root)
    for name in ("compact_cnn", "densenet121"):
        (root / f"models/{name}/model.weights.h5").write_text(name)
    settings = write_settings(root)
    return settings.model_copy(update={"track": settings.track.model_copy(update={"registered": True})})


def choose(name: str) -> None:
    """Check out a study that chose a model."""
    write_json("metrics/headline.json", {**read_json("metrics/headline.json"), "model": name})


def registered_versions() -> int:
    return len(MlflowClient(tracking_uri()).search_model_versions(f"name = '{EXPERIMENT}'"))


def test_the_alias_follows_the_study_and_no_model_is_registered_twice(root: Path, settings: Settings) -> None:
    for name, new, line in (
        ("densenet121", 1, "version 1, densenet121"),
        ("densenet121", 0, "version 1, densenet121"),
        ("compact_cnn", 1, "version 2, compact_cnn"),
        ("densenet121", 0, "version 1, densenet121"),
        ("compact_cnn", 0, "version 2, compact_cnn"),
    ):
        choose(name)
        assert sync(settings)["champions"] == new
        assert champion_line(settings) == f"models:/{EXPERIMENT}@champion is {line}"
    assert registered_versions() == 2


def test_another_study_that_chose_the_same_model_registers_it_no_second_time(root: Path, settings: Settings) -> None:
    sync(settings)
    write_json("metrics/headline.json", {**read_json("metrics/headline.json"), "balanced_accuracy": 0.3})
    assert sync(settings) == {"trainings": 0, "evaluations": 0, "ensembles": 0, "studies": 1, "champions": 0}
    assert registered_versions() == 1


def test_retrained_weights_are_a_new_version(root: Path, settings: Settings) -> None:
    sync(settings)
    (root / "models/densenet121/model.weights.h5").write_text("retrained")
    assert sync(settings)["champions"] == 1 and "version 2," in champion_line(settings)


def test_a_version_that_was_deleted_is_registered_again(root: Path, settings: Settings) -> None:
    sync(settings)
    MlflowClient(tracking_uri()).delete_model_version(EXPERIMENT, "1")
    assert sync(settings)["champions"] == 1 and "version 2," in champion_line(settings)


def test_a_version_of_0_1_0_is_known_by_its_run(root: Path, settings: Settings) -> None:
    sync(settings)
    client = MlflowClient(tracking_uri())
    client.delete_model_version_tag(EXPERIMENT, "1", registered.REGISTERED)
    client.delete_registered_model_alias(EXPERIMENT, registered.ALIAS)
    assert sync(settings)["champions"] == 0 and "version 1," in champion_line(settings)


def test_a_study_that_registers_nothing_leaves_the_alias_alone(root: Path, settings: Settings) -> None:
    sync(settings)
    choose("compact_cnn")
    sync(settings.model_copy(update={"track": settings.track.model_copy(update={"registered": False})}))
    assert champion_line(settings).endswith("version 1, densenet121")


def test_the_command_says_where_the_alias_points(
    root: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bonexray.study.load_settings", lambda: settings)
    assert CliRunner().invoke(app, ["sync"]).stdout.splitlines()[1:] == [f"sync: {champion_line(settings)}"]


def test_a_move_is_logged_with_the_version_before(
    root: Path, settings: Settings, caplog: pytest.LogCaptureFixture, warnings_of: Callable[[], list[str]]
) -> None:
    caplog.set_level("INFO", "bonexray")
    sync(settings)
    choose("compact_cnn")
    sync(settings)
    assert f"models:/{EXPERIMENT}@champion is version 2, compact_cnn, moved from version 1" in caplog.text
