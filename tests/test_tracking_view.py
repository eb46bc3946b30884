"""What MLflow's page shows: the kind of the experiment, where runs come from, their groups, and the comparison."""

import json
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient
from records import CARD, EXPERIMENT, runs, train_live, write_settings, write_study

from bonexray.base.errors import BonexrayError
from bonexray.base.files import read_json, write_json
from bonexray.study import Settings
from bonexray.tracking import store as store_module
from bonexray.tracking import ui
from bonexray.tracking.grouping import study_name
from bonexray.tracking.search import search_run
from bonexray.tracking.store import open_store, tracking_uri
from bonexray.tracking.sync import sync
from bonexray.tracking.view import SECTIONS, SHARED, share_view

KIND = "mlflow.experimentKind"


@pytest.fixture
def settings(root: Path) -> Settings:
    """The settings of a study of two models, which are also in params.yaml."""
    return write_settings(root)


def tags_of_experiment() -> dict[str, str]:
    return MlflowClient(tracking_uri()).get_experiment_by_name(EXPERIMENT).tags


# The experiment and its runs


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, "custom_model_development"),
        ({}, "custom_model_development"),
        ({KIND: "genai_development_inferred"}, "custom_model_development"),
        ({KIND: "no_inferred_type"}, "custom_model_development"),
        ({KIND: "classification"}, "classification"),
    ],
)
def test_the_experiment_is_one_of_model_training_unless_the_user_chose_otherwise(
    root: Path, before: dict[str, str] | None, after: str
) -> None:
    if before is not None:
        MlflowClient(tracking_uri()).create_experiment(EXPERIMENT, tags=before)
    open_store(EXPERIMENT)
    assert tags_of_experiment()[KIND] == after


def test_a_description_that_a_user_wrote_stays(root: Path) -> None:
    MlflowClient(tracking_uri()).create_experiment(EXPERIMENT, tags={"mlflow.note.content": "mine"})
    open_store(EXPERIMENT)
    assert tags_of_experiment()["mlflow.note.content"] == "mine"


def test_every_run_says_where_it_comes_from(root: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "git_commit", lambda: "c" * 40)
    write_study(root)
    ensemble = {"members": ["a", "b"], "fitted": {}, "scores": {"accuracy": 0.7}}
    write_json(root / "metrics/ensembles.json", {"ensemble_mean": ensemble})
    (root / "reports/ensembles/ensemble_mean").mkdir(parents=True)
    sync(settings)
    train_live()
    with search_run(settings, "densenet121", "5" * 64):
        pass
    sources = {
        "train": {"dvc repro train@compact_cnn", "dvc repro train@densenet121"},
        "ensemble": {"dvc repro aggregate"},
        "aggregate": {"dvc repro aggregate"},
        "tune": {"bonexray tune --model densenet121"},
    }
    for stage, commands in sources.items():
        tags = [run.data.tags for run in runs(stage)]
        assert {found["mlflow.source.name"] for found in tags} == commands
        assert {found["mlflow.source.type"] for found in tags} == {"LOCAL"}
        assert {found["mlflow.source.git.commit"] for found in tags} == {"c" * 40}
        assert all(len(found["mlflow.note.content"]) > 20 for found in tags)


# Groups


def groups() -> dict[str, set[str]]:
    """Return the names of the runs of each study."""
    found: dict[str, set[str]] = {}
    for run in runs():
        found.setdefault(run.data.tags.get("study", ""), set()).add(run.info.run_name)
    return found


WHOLE = {"compact_cnn", "densenet121", "study of 2 on phantom"}


def with_resamples(settings: Settings, number: int) -> Settings:
    return settings.model_copy(update={"evaluate": settings.evaluate.model_copy(update={"resamples": number})})


def test_the_runs_of_a_study_have_its_tag_from_the_start(root: Path, settings: Settings) -> None:
    write_study(root)
    train_live(card=read_json(root / "models/densenet121/model.json"))
    assert groups() == {study_name(settings): {"densenet121"}}
    sync(settings)
    assert groups() == {study_name(settings): WHOLE}
    sync(settings)
    assert groups() == {study_name(settings): WHOLE}


def test_a_training_that_is_repeated_leaves_the_study(root: Path, settings: Settings) -> None:
    write_study(root)
    sync(settings)
    card = root / "models/densenet121/model.json"
    write_json(card, {**read_json(card), "fingerprint": "9" * 64})
    sync(settings)
    assert groups() == {study_name(settings): WHOLE, "": {"densenet121"}}
    (left,) = [run for run in runs("train") if "study" not in run.data.tags]
    assert left.data.tags["fingerprint"] == "1" * 64


def test_a_training_in_progress_stays_in_its_study(root: Path, settings: Settings) -> None:
    write_study(root)
    store_module.create_run(open_store(EXPERIMENT), "at work", {"study": study_name(settings)}, "dvc repro", "")
    sync(settings)
    assert groups() == {study_name(settings): {*WHOLE, "at work"}}


def test_trainings_that_two_studies_share_follow_the_one_synced_last(root: Path, settings: Settings) -> None:
    write_study(root)
    sync(settings)
    other = with_resamples(settings, 500)
    headline = root / "metrics/headline.json"
    before = headline.read_text()
    write_json(headline, {**read_json(headline), "balanced_accuracy": 0.3})
    sync(other)
    assert groups() == {study_name(other): WHOLE, study_name(settings): {"study of 2 on phantom"}}
    headline.write_text(before)
    assert sync(settings)["studies"] == 0
    assert groups()[study_name(settings)] == WHOLE


def test_a_study_has_a_name_of_its_own_that_any_query_can_hold(root: Path, settings: Settings) -> None:
    assert study_name(settings) != study_name(with_resamples(settings, 500))
    track = settings.track.model_copy(update={"registered": True})
    assert study_name(settings) == study_name(settings.model_copy(update={"track": track}))
    dataset = settings.dataset.model_copy(update={"name": 'Anna\'s "knees" `2`'})
    quoted = settings.model_copy(update={"dataset": dataset})
    write_study(root)
    sync(quoted)
    assert {*groups()} == {study_name(quoted)}


# The comparison


def test_the_view_shows_the_models_of_the_study_and_their_charts(root: Path, settings: Settings) -> None:
    write_study(root)
    train_live(card={**CARD, "fingerprint": "e" * 64, "model": "of another study"})
    other = next(iter(runs())).info.run_id
    store, name = open_store(EXPERIMENT), study_name(settings)
    store.client.set_tag(other, "study", "phantom 00000000")
    sync(settings)
    address = share_view(store, name)
    key = address.rpartition("viewStateShareKey=")[2]
    assert address.startswith(f"/#/experiments/{store.experiment_id}/runs?workflowType=machine_learning&")
    assert key == name.replace(" ", "-")
    text = tags_of_experiment()[SHARED + key]
    assert len(text) < 5000  # MLflow's limit on the tag of an experiment
    view = json.loads(text)
    order = [f"{view['orderByKey']} {'ASC' if view['orderByAsc'] else 'DESC'}"]
    shown = store.client.search_runs([store.experiment_id], view["searchFilter"], order_by=order)
    assert {run.info.run_name for run in shown} == {"compact_cnn", "densenet121"}
    charts = {chart["metricKey"]: (chart["type"], chart["metricSectionId"]) for chart in view["compareRunCharts"]}
    assert charts["test/balanced_accuracy"] == ("BAR", "Balanced accuracy")
    assert charts["val_log_loss"] == ("LINE", "Loss curves")
    assert charts["test/multiply_adds"] == ("BAR", "Cost")
    assert {section for _, section in charts.values()} < {section["uuid"] for section in view["compareRunSections"]}


def test_charts_are_of_numbers_that_a_study_has() -> None:
    scores = read_json(Path(__file__).parents[1] / "metrics/models.json")
    charts = [metric for _, metrics in SECTIONS.values() for metric in metrics]
    of_test = [metric.removeprefix("test/") for metric in charts if metric.startswith("test/")]
    assert len(of_test) == 4 and all({*of_test} <= {*row} for row in scores.values())


# The page on this machine


def test_a_port_that_is_in_use_is_passed_over() -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        taken = busy.getsockname()[1]
        assert taken < ui.free_port(taken) < taken + ui.PORTS


def test_no_free_port_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ui, "_can_bind", lambda port: False)
    with pytest.raises(BonexrayError, match="a free port between 5000 and 5099, received none"):
        ui.free_port()


@pytest.mark.parametrize("address", ["http://anna:secret@127.0.0.1:9/", "http://127.0.0.1:9"])
def test_with_a_server_the_address_there_is_printed_and_nothing_is_started(
    root: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    store, lines = open_store(EXPERIMENT), []
    monkeypatch.setattr(ui, "open_store", lambda name: store)
    monkeypatch.setattr(ui, "_server", None)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    ui.serve(settings, lines.append)
    assert len(lines) == 1
    assert lines[0].startswith(f"http://127.0.0.1:9/#/experiments/{store.experiment_id}/runs?")


def test_a_server_that_ends_at_once_is_one_line(
    root: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ui.sys, "executable", "false")
    with pytest.raises(BonexrayError, match="it ended with 1"):
        ui.serve(settings, lambda line: None)


@pytest.mark.slow
def test_the_page_is_served_at_the_printed_address_and_ends_with_the_command(root: Path, settings: Settings) -> None:
    write_study(root)
    command = [sys.executable, "-c", "from bonexray.cli import main; main()", "ui"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = next(line for line in process.stdout if line.startswith("ui: "))
            host, _, page = line.removeprefix("ui: ").strip().partition("/#/")
            key = page.rpartition("=")[2]
            query = f"{host}/api/2.0/mlflow/experiments/get?experiment_id={page.split('/')[1]}"
            with urllib.request.urlopen(query, timeout=60) as answer:
                tags = {tag["key"] for tag in json.load(answer)["experiment"]["tags"]}
            assert SHARED + key in tags
        finally:
            process.terminate()
        assert process.wait(60) == 128 + signal.SIGTERM
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(host, timeout=5)
