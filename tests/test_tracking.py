"""MLflow runs: live runs, runs created from files, two processes at once, and stores that fail."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient
from records import (
    CARD,
    EPOCH,
    EXPERIMENT,
    SCORES,
    artifacts_of,
    runs,
    steps_of,
    train_live,
    write_settings,
    write_study,
)

from bonexray.base.files import read_json, write_json
from bonexray.external.settings import ExternalCohort
from bonexray.study import Settings
from bonexray.tracking.live import live_run
from bonexray.tracking.store import open_store, tracking_uri, without_secret
from bonexray.tracking.sync import sync, try_to_sync


@pytest.fixture
def settings(root: Path) -> Settings:
    """The settings of a study of two models, which are also in params.yaml."""
    return write_settings(root)


# The store

OPENING = """
import sys
from bonexray.tracking.store import open_store
print("ready", flush=True)
sys.stdin.readline()
print(open_store("study").experiment_id)
"""


def test_two_processes_can_create_the_same_new_store_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    pipe = subprocess.PIPE
    processes = [
        subprocess.Popen([sys.executable, "-c", OPENING], stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        for _ in range(2)
    ]
    assert [process.stdout.readline() for process in processes] == ["ready\n"] * 2
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    found = [(*process.communicate(timeout=120), process.returncode) for process in processes]
    assert [code for _, _, code in found] == [0, 0], "\n".join(errors for _, errors, _ in found)
    assert found[0][0] == found[1][0]
    assert [e.name for e in MlflowClient(tracking_uri()).search_experiments(filter_string="name = 'study'")] == [
        "study"
    ]


def test_the_store_is_the_main_repositorys_also_from_a_copy_of_it(
    root: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("copy"))
    assert tracking_uri() == f"sqlite:///{root / 'mlflow.db'}"
    store = open_store(EXPERIMENT)
    place = store.client.get_experiment(store.experiment_id).artifact_location
    assert place == (root / "mlartifacts").as_uri()
    assert open_store(EXPERIMENT).experiment_id == store.experiment_id


def test_the_address_in_the_environment_takes_precedence(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert tracking_uri() == "http://127.0.0.1:9"


# Live runs


def test_a_live_run_records_settings_epochs_and_tags(root: Path, settings: Settings) -> None:
    train_live()
    (run,) = runs()
    assert run.info.status == "FINISHED"
    assert (run.info.run_name, run.data.params["model"]) == ("densenet121", "densenet121")
    assert run.data.params["train.learning_rate"] == "0.001"
    assert run.data.params["split.ratios.train"] == str(settings.split.ratios.train)
    assert run.data.params["mode"] == "frozen"
    assert {"prepare.img_px", "denoise.method", "weights.source", "evaluate.resamples"} <= set(run.data.params)
    assert steps_of(run, "loss") == [(1, 1.0), (2, 0.5)]
    assert set(run.data.metrics) == set(EPOCH)
    tags = {"model": "densenet121", "dataset": "phantom", "stage": "train", "fingerprint": CARD["fingerprint"]}
    assert tags.items() <= run.data.tags.items()
    assert run.inputs.dataset_inputs[0].dataset.name == "phantom"


def test_a_run_whose_training_raises_is_failed_and_the_error_propagates(root: Path, settings: Settings) -> None:
    with pytest.raises(KeyboardInterrupt), live_run(CARD) as run:
        run.epoch(1, EPOCH)
        raise KeyboardInterrupt
    assert [run.info.status for run in runs()] == ["FAILED"]


def test_a_repeated_training_replaces_the_earlier_run(root: Path, settings: Settings) -> None:
    train_live(epochs=1)
    (first,) = runs()
    train_live(epochs=2)
    (second,) = runs()
    assert second.info.run_id != first.info.run_id
    assert len(steps_of(second, "loss")) == 2


def test_another_training_or_a_failed_one_replaces_no_run(root: Path, settings: Settings) -> None:
    train_live()
    train_live(card={**CARD, "fingerprint": "e" * 64})
    with pytest.raises(RuntimeError), live_run(CARD):
        raise RuntimeError
    assert sorted(run.info.status for run in runs()) == ["FAILED", "FINISHED", "FINISHED"]


def test_no_secret_of_the_environment_is_recorded(
    root: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "correct-horse-battery"
    for name in ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, secret)
    train_live()
    write_study(root)
    sync(settings)
    for run in runs():
        assert secret not in str(run.to_dictionary())


# Stores that fail


def broken(root: Path) -> str:
    (root / "broken.db").write_text("this is no database")
    return f"sqlite:///{root / 'broken.db'}"


STORES: dict[str, Callable[[Path], str]] = {
    "unreachable": lambda root: "http://127.0.0.1:9",
    "unknown": lambda root: "nothing://here",
    "damaged": broken,
    "without a driver": lambda root: "mysql+absent://127.0.0.1:9/mlflow",
}


@pytest.mark.parametrize("kind", STORES)
def test_a_store_that_fails_costs_one_warning_and_training_continues(
    kind: str, root: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch, warnings_of: Callable[[], list[str]]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", STORES[kind](root))
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    train_live()
    assert len(warnings_of()) == 1
    assert "bonexray sync" in warnings_of()[0]
    try_to_sync()
    assert len(warnings_of()) == 2


def test_a_store_lost_in_the_middle_warns_once(
    root: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch, warnings_of: Callable[[], list[str]]
) -> None:
    def lost(*_arguments: object, **_options: object) -> None:
        raise ConnectionError("gone")

    with live_run(CARD) as run:
        run.epoch(1, EPOCH)
        monkeypatch.setattr(MlflowClient, "log_batch", lost)
        run.epoch(2, EPOCH)
        run.epoch(3, EPOCH)
    assert len(warnings_of()) == 1


# From the files


def test_sync_creates_every_run_from_the_files(root: Path, settings: Settings) -> None:
    write_study(root)
    assert sync(settings) == {"trainings": 2, "evaluations": 2, "ensembles": 0, "studies": 1}
    training = next(run for run in runs("train") if run.data.tags["model"] == "densenet121")
    assert training.info.status == "FINISHED"
    assert training.data.params["train.optimizer"] == "adam"
    assert steps_of(training, "loss") == [(1, 1.0), (2, 0.5)]
    assert steps_of(training, "learning_rate") == [(1, 0.001), (2, 0.0005)]
    assert training.data.metrics["test/balanced_accuracy"] == 0.4
    assert training.data.metrics["test/confusion.normal.osteoporosis"] == 1
    assert not {"test/roc_auc", "test/val_accuracy"} & set(training.data.metrics)
    assert artifacts_of(training, "evaluation") == ["evaluation/densenet121_confusion_matrix.png"]


def test_sync_creates_one_run_of_the_study(root: Path, settings: Settings) -> None:
    write_study(root)
    sync(settings)
    (study,) = runs("aggregate")
    assert study.info.status == "FINISHED"
    assert study.data.params == {"models": "compact_cnn, densenet121", "chosen": "densenet121"}
    of_models = {f"balanced_accuracy/{name}": 0.4 for name in ("compact_cnn", "densenet121")}
    assert study.data.metrics == {"models": 2, "balanced_accuracy": 0.4, **of_models}
    assert artifacts_of(study) == ["comparison.csv", "figures"]
    assert artifacts_of(study, "figures") == ["figures/models_comparison.png"]


def test_an_ensemble_has_a_run_with_its_fitted_parameters(root: Path, settings: Settings) -> None:
    write_study(root)
    fitted = {"repeat 1, fold 1": {"weights": [0.25, 0.75]}}
    scores = {"accuracy": 0.7, "val_accuracy": 1.0}
    ensemble = {"members": ["a", "b"], "fitted": fitted, "scores": scores}
    write_json(root / "metrics/ensembles.json", {"ensemble_weighted": ensemble})
    (root / "reports/ensembles/ensemble_weighted").mkdir(parents=True)
    (root / "reports/ensembles/ensemble_weighted/roc.png").write_bytes(b"png")
    assert sync(settings)["ensembles"] == 1
    assert sync(settings)["ensembles"] == 0
    (run,) = runs("ensemble")
    assert (run.data.metrics, run.data.params) == ({"test/accuracy": 0.7}, {"members": "a, b"})
    assert artifacts_of(run) == ["evaluation", "fitted.json"]


def test_the_newest_report_and_the_heat_maps_are_on_their_runs(root: Path, settings: Settings) -> None:
    write_study(root)
    (root / "reports/explained/densenet121").mkdir(parents=True)
    (root / "reports/explained/densenet121/densenet121_gradcam.png").write_bytes(b"png")
    (root / "reports/report.html").write_text("first")
    sync(settings)
    (root / "reports/report.html").write_text("second")
    assert sync(settings)["studies"] == 0
    (study,) = runs("aggregate")
    found = MlflowClient(tracking_uri()).download_artifacts(study.info.run_id, "report.html", str(root))
    assert Path(found).read_text() == "second"
    training = next(run for run in runs("train") if run.data.tags["model"] == "densenet121")
    assert artifacts_of(training, "explained") == ["explained/densenet121_gradcam.png"]
    (root / "reports/explained/densenet121/densenet121_gradcam.png").write_bytes(b"drawn anew")
    assert sync(settings)["evaluations"] == 1
    found = MlflowClient(tracking_uri()).download_artifacts(training.info.run_id, "explained", str(root))
    assert (Path(found) / "densenet121_gradcam.png").read_bytes() == b"drawn anew"
    assert sync(settings)["evaluations"] == 0


def test_scores_on_an_external_cohort_are_on_the_run_of_their_training(root: Path, settings: Settings) -> None:
    settings = settings.model_copy(
        update={"external": {"b": ExternalCohort(root="data/b"), "new": ExternalCohort(root="c")}}
    )
    write_study(root)
    sync(settings)
    scores = {"balanced_accuracy": 0.5, "drop_balanced_accuracy": 0.2, "accuracy": 0.6}
    write_json(root / "metrics/external/b.json", {"models": {"densenet121": scores}})
    assert sync(settings)["evaluations"] == 1
    training = next(run for run in runs("train") if run.data.tags["model"] == "densenet121")
    found = {name: value for name, value in training.data.metrics.items() if name.startswith("external/")}
    assert found == {"external/b/balanced_accuracy": 0.5, "external/b/drop_balanced_accuracy": 0.2}
    assert sync(settings)["evaluations"] == 0


def test_a_second_sync_adds_nothing(root: Path, settings: Settings) -> None:
    write_study(root)
    sync(settings)
    before = {run.info.run_id for run in runs()}
    assert sync(settings) == {"trainings": 0, "evaluations": 0, "ensembles": 0, "studies": 0}
    assert {run.info.run_id for run in runs()} == before


def test_each_fold_and_repeat_has_a_run_of_its_own_and_the_first_carries_the_evaluation(
    root: Path, settings: Settings
) -> None:
    write_study(root)
    folder, further = root / "models/densenet121", {"repeat": 2, "fold": 3}
    write_json(folder / "model.json", {**read_json(folder / "model.json"), "runs": [*CARD["runs"], further]})
    (folder / "repeat-2-fold-3").mkdir()
    shutil.copy(folder / "history.csv", folder / "repeat-2-fold-3")
    assert sync(settings) == {"trainings": 3, "evaluations": 2, "ensembles": 0, "studies": 1}
    assert sync(settings)["trainings"] == 0
    first, second = sorted(
        (run for run in runs("train") if run.data.tags["model"] == "densenet121"),
        key=lambda run: run.data.tags["repeat"],
    )
    assert (second.data.tags["repeat"], second.data.tags["fold"]) == ("2", "3")
    assert second.info.run_name == "densenet121 repeat-2-fold-3"
    assert "test/accuracy" in first.data.metrics and "test/accuracy" not in second.data.metrics


def test_sync_puts_the_evaluation_onto_the_live_run(root: Path, settings: Settings) -> None:
    write_study(root)
    train_live(card=read_json(root / "models/densenet121/model.json"))
    (live,) = runs()
    assert sync(settings) == {"trainings": 1, "evaluations": 2, "ensembles": 0, "studies": 1}
    after = next(run for run in runs("train") if run.data.tags["model"] == "densenet121")
    assert after.info.run_id == live.info.run_id
    assert after.data.metrics["test/accuracy"] == 0.5


def test_ensembles_of_0_1_0_without_scores_are_left_out(root: Path, settings: Settings) -> None:
    write_study(root)
    write_json(root / "metrics/ensembles.json", {"ensemble_mean": {"members": ["a", "b"], "fitted": {}}})
    assert sync(settings)["ensembles"] == 0


def test_a_new_evaluation_is_added_to_the_same_run(root: Path, settings: Settings) -> None:
    write_study(root)
    sync(settings)
    write_json(root / "metrics/models.json", {"compact_cnn": SCORES, "densenet121": {**SCORES, "accuracy": 0.6}})
    assert sync(settings) == {"trainings": 0, "evaluations": 1, "ensembles": 0, "studies": 1}
    training = next(run for run in runs("train") if run.data.tags["model"] == "densenet121")
    assert training.data.metrics["test/accuracy"] == 0.6


def test_an_untrained_model_is_skipped_with_a_warning(
    root: Path, settings: Settings, warnings_of: Callable[[], list[str]]
) -> None:
    write_study(root)
    shutil.rmtree(root / "models/compact_cnn")
    assert sync(settings) == {"trainings": 1, "evaluations": 1, "ensembles": 0, "studies": 1}
    assert "models/compact_cnn is missing" in warnings_of()[0]


def test_an_address_is_shown_without_its_password() -> None:
    assert (
        without_secret("at https://me:secret@host:5000/x, twice http://b@c") == "at https://host:5000/x, twice http://c"
    )


def test_a_study_whose_split_leaks_is_marked_in_every_run(root: Path, settings: Settings) -> None:
    train_live(card={**CARD, "leak_suspect": True})
    (run,) = runs()
    assert run.data.tags["leak_suspect"] == "True"
    train_live(card={**CARD, "fingerprint": "c" * 64})
    assert sorted("leak_suspect" in run.data.tags for run in runs()) == [False, True]
