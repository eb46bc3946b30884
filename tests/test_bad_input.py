"""Bad input is reported in one line, by `bonexray check` and by the stage, and nothing is written."""

import shutil
import sys
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
from console import findings

from bonexray.cli import main
from bonexray.data.paths import IMAGES
from bonexray.derived_params import derive_params

CSV = {"dataset.csv": "data/raw/index.csv", "dataset.inputs": ["data/raw", "data/raw/index.csv"]}
ROWS = [
    {"image": f"{name}/{number}.png", "label": name, "grade": name}
    for name in ("normal", "osteoporosis")
    for number in range(3)
]


class Case(NamedTuple):
    """A change that makes a study invalid, the words in its error, and a stage that reports it (None to save time)."""

    spoil: Callable
    names: list[str]
    stage: tuple[str, ...] | None = ("split",)


def without_images(study) -> None:
    shutil.rmtree(study.folder / "data/raw")
    (study.folder / "data/raw/normal").mkdir(parents=True)


def with_one_class(study) -> None:
    shutil.rmtree(study.folder / "data/raw/osteoporosis")


def with_two_images_of_a_class(study) -> None:
    (study.folder / "data/raw/osteoporosis/0.png").unlink()


def outside_by_a_relative_path(study) -> None:
    outside = study.folder.with_name(f"{study.folder.name}_outside")
    shutil.copytree(study.folder / "data/raw", outside)
    study.change({"dataset.root": f"../{outside.name}"})


def with_csv(*rows: str, header: str = "image,label", **settings: str):
    def spoil(study) -> None:
        study.image("data/outside.png", seed=99)
        sound = [",".join(row.get(column, "") for column in header.split(",")) for row in ROWS]
        lines = [header, *sound, *(row.replace("<study>", str(study.folder)) for row in rows)]
        study.write("data/raw/index.csv", "\n".join(lines) + "\n")
        study.change({**CSV, **{f"dataset.{key}": value for key, value in settings.items()}})

    return spoil


def changed(**settings: object):
    return lambda study: study.change({name.replace("__", "."): value for name, value in settings.items()})


def presplit_without_val(study) -> None:
    """A class with one image in train, from which val would have to be taken."""
    for name in ("normal", "osteoporosis"):
        for number in range(3):
            split = "test" if name == "osteoporosis" and number else "train"
            study.image(f"data/presplit/{split}/{name}/{number}.png", seed=number + 50 * len(name))
    study.change({"dataset.root": "data/presplit"})


def with_three_classes(study) -> None:
    for number in range(3):
        study.image(f"data/raw/osteopenia/{number}.png", seed=70 + number)
    study.change({"train.output": "sigmoid"})


def choosing(name: str, mode: str = "frozen", files: dict[str, str] | None = None, **settings: object):
    """Return a change that chooses one model and a mode, with the rows that follow from the choice."""
    choices = {"model": name, "mode": mode, "modes": {}, "fine_tune": {"blocks": {}}, "weights": {"files": files or {}}}
    return changed(model=name, mode=mode, weights__files=files or {}, **derive_params(choices), **settings)


CASES = {
    "folder missing": Case(changed(dataset__root="data/nowhere"), ["dataset.root", "no such folder: data/nowhere"]),
    "folder is a file": Case(changed(dataset__root="params.yaml"), ["dataset.root", "a file"], None),
    "folder empty": Case(without_images, ["data/raw", "no image"]),
    "one class": Case(with_one_class, ["data/raw", "at least two classes", "only 'normal'"]),
    "too few of a class": Case(with_two_images_of_a_class, ["class 'osteoporosis'", "at least 3", "received 2"]),
    "other classes": Case(changed(dataset__classes=["normal", "fracture"]), ["dataset.classes", "normal, fracture"]),
    "root outside": Case(outside_by_a_relative_path, ["dataset.root", "inside the repository", "../study", "dvc add"]),
    "no CSV": Case(changed(dataset__csv="data/none.csv"), ["dataset.csv", "no such file: data/none.csv"], None),
    "CSV without label": Case(
        with_csv(header="image,grade"), ["data/raw/index.csv: dataset.label_column", "image, grade", "'label'"]
    ),
    "CSV without group": Case(
        with_csv(group_column="patient"), ["dataset.group_column", "image, label", "'patient'"], None
    ),
    "CSV names no file": Case(
        with_csv("normal/9.png,normal"), ["data/raw/index.csv, line 8", "no such file: data/raw/normal/9.png"]
    ),
    "CSV leaves by ..": Case(with_csv("../outside.png,normal"), ["line 8", "inside data/raw", "../outside.png"]),
    "CSV leaves by /": Case(
        with_csv("<study>/data/outside.png,normal"), ["line 8", "inside data/raw", "/data/outside.png, outside"]
    ),
    "CSV names another split": Case(
        with_csv("normal/2.png,normal,fourth", header="image,label,split", split_column="split"),
        ["line 8", "train, val or test", "'fourth'"],
        None,
    ),
    "CSV row cut short": Case(
        with_csv("normal", header="label,image"), ["data/raw/index.csv, line 8", "no such file"], None
    ),
    "unknown ensemble": Case(
        changed(aggregate__ensembles=["mean", "median"]),
        ["aggregate.ensembles.1", "'mean', 'weighted', 'majority' or 'stacking'", "'median'"],
        ("prepare",),
    ),
    "unknown filter": Case(changed(denoise__method="mean"), ["denoise.method", "none, bm3d", "'mean'"], ("denoise",)),
    "unknown model": Case(
        changed(model="lenet"),
        ["model", "all, @encoders, or names among vgg16, ", "compact_cnn", "'lenet'"],
        ("prepare",),
    ),
    "too small for a model": Case(
        choosing("xception", prepare__img_px=64),
        ["prepare.img_px", "at least 71 for xception", "received 64"],
        ("prepare",),
    ),
    "not a multiple of the patch": Case(
        choosing("vit_tiny", prepare__img_px=150),
        ["prepare.img_px", "a multiple of 16 for vit_tiny", "received 150", "prepare.img_px=144"],
        None,
    ),
    "a model with backbones from scratch": Case(
        choosing("mobilenet_v2", "scratch"),
        ["params.yaml: mode: ", "'frozen', 'fine_tune' or 'full'", "'scratch'"],
        ("prepare",),
    ),
    "rows that do not follow from the choice": Case(
        changed(panel=[]), ["panel.0", "what follows from model", "compact_cnn", "None"], ("prepare",)
    ),
    "a mode for an unknown model": Case(changed(modes={"lenet": "full"}), ["modes", "models among", "'lenet'"], None),
    "a block of an unknown backbone": Case(
        changed(fine_tune__blocks={"lenet": "conv1"}), ["fine_tune.blocks", "backbones among", "'lenet'"], None
    ),
    "a mirror without the file": Case(
        choosing("vgg16", weights__source="imagenet", weights__mirror="mirror"),
        ["weights.mirror, vgg16", "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5", "no such file in mirror"],
        ("features", "vgg16"),
    ),
    "a sigmoid for three classes": Case(with_three_classes, ["train.output", "softmax for 3 classes"], None),
    "an ordinal output for classes without an order": Case(
        changed(train__output="cumulative"),
        ["train.output", "classes without an order", "'cumulative'", "train.output=softmax", "dataset.ordered=true"],
    ),
    "a model with an ordinal output for classes without an order": Case(
        choosing("vgg16_corn"), ["model vgg16_corn", "classes without an order", "'corn'", "leave this model out"]
    ),
    "an ordinal output for two classes": Case(
        changed(train__output="corn", dataset__classes=["normal", "osteoporosis"], dataset__ordered=True),
        ["train.output", "an output for 2 classes", "three or more ordered classes"],
    ),
    "weights file missing": Case(
        choosing("mobilenet_v2", files={"mobilenet_v2": "own.h5"}),
        ["own.h5", "without top"],
        ("features", "mobilenet_v2"),
    ),
}

STAGED = {name: case for name, case in CASES.items() if case.stage}


def require_one_line(stderr: str, case: Case) -> None:
    assert len(findings(stderr)) == 1, stderr
    assert [name for name in case.names if name not in findings(stderr)[0]] == []


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_check_names_bad_input_in_one_line(study, case: Case, monkeypatch, capsys) -> None:
    case.spoil(study)
    before = study.files()
    monkeypatch.chdir(study.folder)
    monkeypatch.setattr(sys, "argv", ["bonexray", "check"])
    with pytest.raises(SystemExit, match="1"):
        main()
    stderr = capsys.readouterr().err
    assert stderr.splitlines() == findings(stderr)
    require_one_line(stderr, case)
    assert study.files() == before


@pytest.mark.parametrize("case", STAGED.values(), ids=STAGED)
def test_a_stage_names_bad_input_in_one_line_and_writes_nothing(study, case: Case) -> None:
    case.spoil(study)
    if case.stage[0] == "features":  # as the stages before it leave the images
        images = study.folder / IMAGES
        images.parent.mkdir(parents=True, exist_ok=True)
        np.save(images, np.zeros((1, 80, 80), np.float32))
    before = study.files()
    done = study.stage(*case.stage)
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    require_one_line(done.stderr, case)
    assert findings(done.stderr)[0].startswith(f"{case.stage[0]}: ")
    assert study.files() - before <= {"data/split/quarantine.csv"}


def test_a_split_that_cannot_be_completed_is_one_line(study) -> None:
    presplit_without_val(study)
    done = study.stage("split")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert len(findings(done.stderr)) == 1
    assert not (study.folder / "data/split/manifest.csv").exists()


def test_an_absolute_root_may_be_anywhere(study) -> None:
    outside = study.folder.with_name(f"{study.folder.name}_absolute")
    shutil.copytree(study.folder / "data/raw", outside)
    study.change({"dataset.root": str(outside), "dataset.inputs": [str(outside)]})
    assert study.check().returncode == 0
