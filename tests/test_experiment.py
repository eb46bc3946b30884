"""A study from Python: its folder, its stages in their order, and what it returns."""

import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from ruamel.yaml import YAML
from small_experiment import TINY

from bonexray import XRayClassifier
from bonexray.base.errors import BonexrayError
from bonexray.data.paths import COMPARISON, DENOISE, ENSEMBLES, HEADLINE, MODELS
from bonexray.experiment import classifier
from bonexray.experiment.dag import stage_calls
from bonexray.experiment.outputs import READERS
from bonexray.experiment.results import StudyResults, read_results
from bonexray.results.tables import comparison_sentence
from bonexray.results.wording import with_interval
from bonexray.study import load_settings
from bonexray.tracking.store import git_commit

ROOT = Path(__file__).parents[1]
DVC_YAML = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "study"


# The folder


def test_the_settings_are_those_that_dvc_composes(folder, tmp_path):
    from dvc.utils.hydra import compose_and_dump

    study = XRayClassifier({"models": ["vgg16"], "epochs": 3, "preset": "smoke"}, folder)
    written = study.write_settings().read_text(encoding="utf-8")
    overrides = ["model=[vgg16]", "train.epochs=3", "preset=smoke"]
    compose_and_dump(str(tmp_path / "params.yaml"), str(ROOT / "conf"), None, "config", "", overrides)
    assert written == classifier.MARK + (tmp_path / "params.yaml").read_text(encoding="utf-8")
    assert load_settings(folder / "params.yaml") == study.settings


@pytest.mark.parametrize("name", ["dvc.yaml", "params.yaml", "models/mine.txt", "data/split/mine.csv"])
def test_a_folder_with_other_work_in_it_is_left_alone(name, folder):
    (folder / name).parent.mkdir(parents=True)
    (folder / name).write_text("mine")
    with pytest.raises(BonexrayError, match="an experiment's"):
        XRayClassifier({"models": "vgg16"}, folder).run_experiment()
    assert (folder / name).read_text() == "mine"
    assert len([path for path in folder.rglob("*") if path.is_file()]) == 1


def test_images_may_be_in_the_folder(study):
    config = {"dataset": "folder", "models": "compact_cnn", "img_size": 32}
    (study.folder / "params.yaml").unlink()
    XRayClassifier(config, study.folder).write_settings()
    again = XRayClassifier(config, study.folder)  # in an experiment's own folder
    assert len(again.run_stage("split", verbose=False)) == 6


def test_earlier_results_do_not_stand_beside_new_ones(folder, monkeypatch):
    monkeypatch.setattr(classifier, "run_in", lambda *_, **__: None)
    monkeypatch.setattr(classifier, "read_results", lambda place: place)
    study = XRayClassifier(TINY, folder)
    study.write_settings()
    for name in (
        "reports/explained/compact_cnn/sanity_check.json",
        "models/vgg16/model.json",
        "data/raw/a.png",
        ".bonexray/filtered/a",
    ):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text("{}")
    assert study.run_experiment(verbose=False) == folder
    left = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert left == {"params.yaml", "data/raw/a.png", ".bonexray/filtered/a"}


# The stages


def test_a_plan_has_every_stage_for_each_of_its_models_and_backbones(folder):
    calls = XRayClassifier(TINY, folder).plan()
    assert calls == [
        ("phantom", "cohort"),
        ("phantom", "other_site"),
        ("split",),
        ("denoise",),
        ("prepare",),
        ("cohort",),
        ("augment",),
        ("features", "mobilenet_v2"),
        ("train", "compact_cnn"),
        ("train", "mobilenet_v2"),
        ("train", "texture"),
        ("train", "brightness"),
        ("evaluate",),
        ("learning_curve",),
        ("explain",),
        ("aggregate",),
        ("external", "other_site"),
        ("external_scores", "other_site"),
        ("subgroups",),
        ("clinical",),
        ("report",),
    ]
    without = XRayClassifier({**TINY, "dataset": "knee"}, folder).plan(explain=False)
    assert without == [call for call in calls if call[0] not in ("phantom", "external", "external_scores", "explain")]


def test_the_plan_of_all_models_has_all_stages_of_dvc_yaml():
    calls = XRayClassifier().plan()
    assert {call[0] for call in calls} == set(DVC_YAML) == set(READERS)
    assert len(set(calls)) == len(calls)


def test_a_call_comes_after_those_whose_outputs_it_reads(monkeypatch, tmp_path):
    """Whatever the order of the file; a dependency may be an output, lie in one, or be a folder of one."""
    stages = {
        "last": {"cmd": "python stages/last.py", "deps": ["data", "c/1.csv"]},
        "third": {
            "foreach": "${models}",
            "do": {"cmd": "A=b python stages/third.py ${key}", "deps": ["${item.inputs[-1]}"], "outs": ["c"]},
        },
        "second": {"cmd": "python stages/second.py", "deps": ["data/a"], "metrics": [{"b/x.json": {"cache": False}}]},
        "first": {"cmd": "python stages/first.py", "deps": ["stages/first.py"], "outs": ["data/a"]},
    }
    YAML().dump({"stages": stages}, tmp_path / "dvc.yaml")
    monkeypatch.setattr("bonexray.experiment.dag.resource_path", lambda name: tmp_path / name)
    settings = XRayClassifier({"models": "vgg16"}).settings
    rows = {"vgg16": settings.models["vgg16"].model_copy(update={"inputs": ["none", "b/x.json"]})}
    calls = stage_calls(settings.model_copy(update={"models": rows}))
    assert calls == [("first",), ("second",), ("third", "vgg16"), ("last",)]


def test_a_stage_alone_returns_what_it_found(folder):
    study = XRayClassifier(TINY, folder)
    truth, manifest = (study.run_stage(*stage, verbose=False) for stage in (("phantom", "cohort"), ("split",)))
    assert len(truth) == len(manifest) and set(manifest["split"]) == {"train", "val", "test"}
    quality = study.run_stage("denoise", verbose=False)
    assert quality["psnr_after_db"] > quality["psnr_before_db"]
    images = study.run_stage("prepare", verbose=False)
    assert images.shape == (len(manifest), 32, 32)
    assert {path.name for path in study.run_stage("cohort", verbose=False).iterdir()} == {
        "class_counts.png",
        "sample_gallery.png",
    }


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (
            ("train", "vgg16"),
            "expected one of train@compact_cnn, train@mobilenet_v2, train@texture, train@brightness, received",
        ),
        (("train",), "expected one of train@compact_cnn"),
        (("split", "vgg16"), "expected one of split, received"),
        (("weights", "mobilenet_v2"), "expected one of phantom, split, denoise, .*, report, received"),
    ],
)
def test_a_call_that_the_study_has_not_is_refused(call, expected, folder):
    with pytest.raises(BonexrayError, match=f"run_stage: {'@'.join(call)}: {expected}"):
        XRayClassifier(TINY, folder).run_stage(*call)
    assert not folder.exists()


# What comes back


def write_results(folder: Path) -> None:
    table = pd.read_csv(ROOT / COMPARISON)
    (folder / "metrics").mkdir(parents=True)
    (folder / "reports").mkdir()
    (folder / "reports/report.html").write_text("<h1>")
    table.to_csv(folder / COMPARISON, index=False)
    for path in (HEADLINE, MODELS, ENSEMBLES, DENOISE):
        shutil.copy(ROOT / path, folder / path)


def test_an_evaluation_shows_itself_as_the_table(folder):
    write_results(folder)
    found = read_results(folder)
    assert isinstance(found, StudyResults) and found.report.is_file()
    assert set(found.scores) == set(found.table["model"]) and found.headline["model"] in found.scores
    for text in (repr(found), found._repr_markdown_()):
        assert "always the majority class" in text and "VGG16" in text and comparison_sentence(found.table) in text
        assert with_interval(found.table.iloc[0], "balanced_accuracy") in text
        assert str(found.report) in text


def test_an_unfinished_study_has_no_evaluation(folder):
    write_results(folder)
    (folder / HEADLINE).unlink()
    with pytest.raises(BonexrayError, match=r"no metrics/headline\.json"):
        read_results(folder)


def test_asking_for_a_study_loads_no_network_library():
    asked = "import sys, bonexray; bonexray.XRayClassifier({'models': 'vgg16'}); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert not {"tensorflow", "keras", "mlflow"} & set(done.stdout.split())


def test_a_machine_without_git_has_no_commit(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_commit() == ""
