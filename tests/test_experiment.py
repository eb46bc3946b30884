"""A study from Python: its folder, its stages in their order, and what it returns."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from bonexray.reporting import tables
from ruamel.yaml import YAML

import bonexray
from bonexray import XRayClassifier
from bonexray.data.paths import HEADLINE
from bonexray.errors import BonexrayError
from bonexray.experiment import classifier, process, steps
from bonexray.experiment.evaluation import Evaluation, read_evaluation
from bonexray.files import write_json
from bonexray.results.wording import with_interval
from bonexray.study import load_settings
from bonexray.tracking.store import git_commit

ROOT = Path(__file__).parents[1]
DVC_YAML = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]
TINY = {
    "models": ["compact_cnn", "MobileNetV2"],
    "img_size": 32,
    "epochs": 2,
    "use_subset": None,
    "batch_size": 8,
    "phantom": {"patients": 24, "img_px": 32},
    "denoise.method": "median",
    "evaluate.resamples": 200,
}


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
    with pytest.raises(BonexrayError, match="new or an experiment's"):
        XRayClassifier({"models": "vgg16"}, folder).run_experiment()
    assert (folder / name).read_text() == "mine"
    assert len([path for path in folder.rglob("*") if path.is_file()]) == 1


def test_images_may_be_in_the_folder(study):
    config = {"dataset": "folder", "models": "compact_cnn", "img_size": 32}
    (study.folder / "params.yaml").unlink()
    XRayClassifier(config, study.folder).write_settings()
    XRayClassifier(config, study.folder).write_settings()  # an experiment's own folder
    assert len(steps.split(study.folder, verbose=False)) == 6


def test_earlier_results_do_not_stand_beside_new_ones(folder, monkeypatch):
    monkeypatch.setattr(classifier, "run_in", lambda *_, **__: None)
    monkeypatch.setattr(classifier, "read_evaluation", lambda place: place)
    study = XRayClassifier(TINY, folder)
    study.write_settings()
    for name in (
        "metrics/explained/compact_cnn.json",
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


def test_the_table_of_stages_is_the_dag():
    over = {name: stage.get("foreach") for name, stage in DVC_YAML.items()}
    assert {name: what and f"${{{what}}}" for name, what in steps.STAGES.items()} == over
    order, made = list(steps.STAGES), {"data/phantom": "phantom"}
    for name, stage in DVC_YAML.items():
        parts = stage.get("do", stage)
        for output in [*parts.get("outs", []), *parts.get("metrics", [])]:
            path = next(iter(output)) if isinstance(output, dict) else output
            made[re.sub(r"\$\{\w+\}.*", "", path)] = name
    of_models = {
        "evaluated": "evaluate",
        "trained": "train",
        "drawn": "evaluate",
        "explained": "explain",
        "item.watch": "",
    }
    for name, stage in DVC_YAML.items():
        for dep in stage.get("do", stage)["deps"]:
            kind = re.match(r"\$\{(item\.watch|\w+)", dep)
            makers = [stage for path, stage in made.items() if path and dep.startswith(path)]
            makers += [of_models[kind[1]]] if kind and of_models.get(kind[1]) else []
            assert all(order.index(maker) < order.index(name) for maker in makers), (name, dep)
    assert order.index("features") < order.index("train")  # by ${item.features[0]}


def test_a_study_is_every_stage_for_each_of_its_models_and_backbones():
    calls = steps.plan(XRayClassifier(TINY).settings)
    assert calls == [
        ("phantom",),
        ("split",),
        ("denoise",),
        ("prepare",),
        ("cohort",),
        ("augment",),
        ("weights", "mobilenet_v2"),
        ("features", "mobilenet_v2"),
        ("train", "compact_cnn"),
        ("train", "mobilenet_v2"),
        ("evaluate", "compact_cnn"),
        ("evaluate", "mobilenet_v2"),
        ("explain", "compact_cnn"),
        ("explain", "mobilenet_v2"),
        ("aggregate",),
        ("report",),
    ]
    assert [call[0] for call in steps.plan(XRayClassifier({**TINY, "dataset": "knee"}).settings, explain=False)] == [
        call[0] for call in calls if call[0] not in ("phantom", "explain")
    ]


@pytest.mark.parametrize("stage", steps.STAGES)
def test_every_stage_has_a_documented_function_that_calls_it(stage, folder, monkeypatch):
    called = []
    monkeypatch.setattr(steps, "run_in", lambda *call, verbose: called.append((*call, verbose)))
    XRayClassifier(TINY, folder).write_settings()
    for name in (
        "data/phantom/truth.csv",
        "data/split/manifest.csv",
        "models/mobilenet_v2/history.csv",
        "metrics/comparison.csv",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("path\n")
    for name in ("metrics/denoise.json", "metrics/models/mobilenet_v2.json"):
        write_json(folder / name, {})
    monkeypatch.setattr(steps, "ArrayFile", lambda path: path)
    function = getattr(steps, stage)
    names = ["mobilenet_v2"] if steps.STAGES[stage] in ("models", "networks", "backbones") else []
    assert function(folder, *names, verbose=False) is not None
    assert called == [(folder, stage, *names, False)]
    assert function.__doc__.count(";") == 1  # what it does; what it returns


def test_a_stage_alone_returns_what_it_found(folder):
    XRayClassifier(TINY, folder).write_settings()
    truth = steps.phantom(folder, verbose=False)
    manifest = steps.split(folder, verbose=False)
    assert len(truth) == len(manifest) and set(manifest["split"]) == {"train", "val", "test"}
    quality = steps.denoise(folder, verbose=False)
    assert quality["psnr_after_db"] > quality["psnr_before_db"]
    images = steps.prepare(folder, verbose=False)
    assert images.shape == (len(manifest), 32, 32)
    assert {path.name for path in steps.cohort(folder, verbose=False).iterdir()} == {
        "class_counts.png",
        "sample_gallery.png",
    }


def test_a_stage_without_settings_or_for_an_unknown_model_is_refused(folder):
    with pytest.raises(BonexrayError, match="write_settings"):
        steps.split(folder)
    XRayClassifier(TINY, folder).write_settings()
    with pytest.raises(
        BonexrayError, match="train: vgg16: expected one of the study's models: compact_cnn, mobilenet_v2"
    ):
        steps.train(folder, "vgg16")


# Its process


def test_a_stage_that_refuses_is_quoted_and_one_that_breaks_off_is_named(folder):
    XRayClassifier({**TINY, "dataset": "knee"}, folder)
    (folder / "data").mkdir(parents=True)
    shutil.copy(ROOT / "params.yaml", folder)
    with pytest.raises(BonexrayError) as refused:
        process.run_in(folder, "split", verbose=False)
    assert vars(refused.value) == {
        "what": "dataset.root",
        "expected": "a folder of images",
        "received": "no such folder: data/phantom/noisy",
        "do": "set dataset.root",
    }
    with pytest.raises(
        BonexrayError, match=r"the stage prepare: expected to finish, received exit code 1: FileNotFound"
    ) as broken:
        process.run_in(folder, "prepare", verbose=False)
    assert "Traceback" in broken.value.__notes__[0]


def test_a_stage_is_this_package_and_the_folders_own(monkeypatch, folder):
    monkeypatch.setenv("DVC_ROOT", "/somewhere/else")
    monkeypatch.setenv("PYTHONPATH", "more")
    seen = process.environment()
    assert "DVC_ROOT" not in seen
    assert seen["PYTHONPATH"] == os.pathsep.join([str(Path(bonexray.__file__).resolve().parents[1]), "more"])


def write_stage(folder: Path, name: str, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write a stage's script, which is run in the place of those of the package."""
    (folder / "stages").mkdir(parents=True)
    (folder / "stages" / f"{name}.py").write_text(script)
    monkeypatch.setattr(process, "resource_path", lambda resource: folder / resource)


REFUSING = """
from bonexray.errors import BonexrayError
from bonexray.stage import run_stage
def main(settings):
    raise BonexrayError("a: expected b", expected="c, received d; e", received="f\\ng", do="h: expected i, received j; k")
run_stage(main)
"""


def test_an_error_comes_back_whole_whatever_its_fields_say(folder, monkeypatch):
    XRayClassifier(TINY, folder).write_settings()
    write_stage(folder, "refuse", REFUSING, monkeypatch)
    with pytest.raises(BonexrayError) as refused:
        process.run_in(folder, "refuse", verbose=False)
    assert list(vars(refused.value).values()) == [
        "a: expected b",
        "c, received d; e",
        "f\ng",
        "h: expected i, received j; k",
    ]


def test_a_line_that_reads_like_an_error_is_none(folder, monkeypatch):
    write_stage(folder, "talk", "raise SystemExit('talk: a: expected b, received c; d')", monkeypatch)
    with pytest.raises(BonexrayError, match="the stage talk: expected to finish, received exit code 1: talk: a"):
        process.run_in(folder, "talk", verbose=False)


def test_what_a_stage_says_is_shown_without_what_tensorflow_says_of_the_machine(folder, monkeypatch, capsys):
    lines = ["I0000 00:00:1795256350.7  20920 port.cc:153] oneDNN custom operations are on.", "epoch  1  loss 1.2"]
    write_stage(folder, "talk", f"print('\\n'.join({lines!r}))\n", monkeypatch)
    process.run_in(folder, "talk")
    assert capsys.readouterr().err == "epoch  1  loss 1.2\n"
    process.run_in(folder, "talk", verbose=False)
    assert capsys.readouterr().err == ""


def test_an_interrupted_stage_ends_with_its_caller(folder):
    XRayClassifier({**TINY, "phantom": {"patients": 100_000, "img_px": 64}}, folder).write_settings()
    # What a shell runs in the background, and all that it starts, would ignore the interrupt.
    heeds = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    asked = f"{heeds}; from bonexray.experiment import steps; steps.phantom({str(folder)!r})"
    with subprocess.Popen([sys.executable, "-c", asked], stderr=subprocess.PIPE, text=True) as caller:
        try:
            partial = folder / "data/phantom.partial/noisy/normal"
            deadline = time.monotonic() + 60
            while not (partial.is_dir() and any(partial.iterdir())):
                assert caller.poll() is None and time.monotonic() < deadline
                time.sleep(0.05)
            caller.send_signal(signal.SIGINT)
            _, said = caller.communicate(timeout=30)
        finally:
            caller.kill()
    assert "KeyboardInterrupt" in said
    written = len(list(partial.iterdir()))
    time.sleep(0.5)
    assert len(list(partial.iterdir())) == written


# What comes back


def write_results(folder: Path) -> None:
    table = pd.read_csv(ROOT / tables.COMPARISON)
    (folder / "metrics").mkdir(parents=True)
    (folder / "reports").mkdir()
    (folder / "reports/report.html").write_text("<h1>")
    table.to_csv(folder / tables.COMPARISON, index=False)
    for path in (HEADLINE, tables.MODELS, tables.DENOISE):
        shutil.copy(ROOT / path, folder / path)


def test_an_evaluation_shows_itself_as_the_table(folder):
    write_results(folder)
    found = read_evaluation(folder)
    assert isinstance(found, Evaluation) and found.report.is_file()
    assert set(found.scores) == set(found.table["model"]) and found.headline["model"] in found.scores
    for text in (repr(found), found._repr_markdown_()):
        assert "always the majority class" in text and "VGG16" in text and "can be told from it" in text
        assert with_interval(found.table.iloc[0], "balanced_accuracy") in text
        assert str(found.report) in text


def test_an_unfinished_study_has_no_evaluation(folder):
    write_results(folder)
    (folder / HEADLINE).unlink()
    with pytest.raises(BonexrayError, match=r"no metrics/headline\.json"):
        read_evaluation(folder)


def test_asking_for_a_study_loads_no_network_library():
    asked = "import sys, bonexray; bonexray.XRayClassifier({'models': 'vgg16'}); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert not {"tensorflow", "keras", "mlflow"} & set(done.stdout.split())


def test_a_machine_without_git_has_no_commit(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_commit() == ""
