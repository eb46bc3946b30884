"""Bad input is reported in one line, by `bonexray check` and by the stage, and nothing is written."""

import json
import os
import shutil
import sys
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from bonexray.cli import main
from bonexray.images.reading import write_png16
from bonexray.wiring import derived

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
    return changed(model=name, mode=mode, weights__files=files or {}, **derived(choices), **settings)


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
        with_csv("normal/2.png,normal,holdout", header="image,label,split", split_column="split"),
        ["line 8", "train, val or test", "'holdout'"],
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
        changed(model="lenet"), ["model", "another of all, vgg16, ", "compact_cnn", "'lenet'"], ("prepare",)
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
        ["models.mobilenet_v2.mode", "one of frozen, fine_tune, full", "'scratch'"],
        ("prepare",),
    ),
    "rows that do not follow from the choice": Case(
        changed(panel={}), ["panel.alexnet", "what follows from model", "compact_cnn", "None"], ("prepare",)
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
    "weights file missing": Case(
        choosing("mobilenet_v2", files={"mobilenet_v2": "own.h5"}),
        ["own.h5", "without top"],
        ("features", "mobilenet_v2"),
    ),
}

STAGED = {name: case for name, case in CASES.items() if case.stage}


def findings(stderr: str) -> list[str]:
    return [line for line in stderr.splitlines() if ": expected " in line and ", received " in line and "; " in line]


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
    study.change({"dataset.root": str(outside)})
    assert study.check().returncode == 0


@pytest.fixture(scope="module")
def spoiled(make_study):
    """A study with sixteen good images and nine bad ones, after its split stage."""
    study = make_study()
    for number in range(3, 8):
        study.image(f"data/raw/normal/{number}.png", seed=number)
        study.image(f"data/raw/osteoporosis/{number}.png", seed=10 + number)
    good = (study.folder / "data/raw/normal/0.png").read_bytes()
    jpeg = study.folder / "whole.jpg"
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (64, 64), np.uint8)).save(jpeg)
    study.write("data/raw/normal/empty.png", b"")
    study.write("data/raw/normal/text.jpg", "this is no image\n")
    study.write("data/raw/normal/notes.txt", "neither is this\n")
    study.write("data/raw/normal/cut.png", good[: len(good) // 2])
    study.write("data/raw/osteoporosis/cut.jpg", jpeg.read_bytes()[: jpeg.stat().st_size // 2])
    write_png16(study.folder / "data/raw/osteoporosis/constant.png", np.full((32, 32), 0.5))
    (study.folder / "data/raw/osteoporosis/link.png").symlink_to(jpeg)
    study.image("data/raw/normal/both.png", seed=77)
    study.image("data/raw/osteoporosis/both.png", seed=77)
    study.image("data/raw/normal/again.png", seed=0)  # the bytes of normal/0.png
    study.change({"split.max_bad_fraction": 0.5})
    done = study.stage("split")
    assert done.returncode == 0, done.stderr
    return study


def test_bad_images_are_quarantined_with_their_reason(spoiled) -> None:
    table = pd.read_csv(spoiled.folder / "data/split/quarantine.csv").set_index("path")
    reasons = {
        "normal/empty.png": "empty file",
        "normal/text.jpg": "cannot identify image file the file",
        "normal/notes.txt": "cannot identify",
        "normal/cut.png": "",
        "normal/both.png": "the same image under 2 labels: normal, osteoporosis",
        "osteoporosis/both.png": "the same image under 2 labels: normal, osteoporosis",
        "osteoporosis/cut.jpg": "truncated",
        "osteoporosis/constant.png": "every pixel has the same value",
        "osteoporosis/link.png": "a link that leaves the dataset's folder",
    }
    assert set(table.index) == set(reasons)
    assert [path for path, reason in reasons.items() if reason not in table.loc[path, "reason"]] == []
    assert table["reason"].str.len().min() > 0
    assert not table["reason"].str.contains(str(spoiled.folder), regex=False).any()


def test_bad_images_are_counted_and_left_out(spoiled) -> None:
    metrics = json.loads((spoiled.folder / "metrics/data.json").read_text())
    manifest = pd.read_csv(spoiled.folder / "data/split/manifest.csv")
    counts = ("images", "groups", "quarantined", "contradictory_labels", "duplicated_images", "duplicate_groups")
    assert [metrics[name] for name in counts] == [17, 16, 9, 2, 1, 1]
    assert len(manifest) == 17
    assert manifest["path"].str.contains("both|cut|empty|text|notes|constant|link").sum() == 0
    assert sum(metrics[split][name] for split in ("train", "val", "test") for name in ("normal", "osteoporosis")) == 17


def test_images_with_the_same_bytes_share_a_group_and_a_split(spoiled) -> None:
    manifest = pd.read_csv(spoiled.folder / "data/split/manifest.csv").set_index("path")
    one, other = manifest.loc["normal/0.png"], manifest.loc["normal/again.png"]
    assert one[["group", "split", "sha256"]].tolist() == other[["group", "split", "sha256"]].tolist()
    assert one["id"] != other["id"]


ODD_NAMES = {
    b"latin\xe9.png": "normal/latin\\xe9.png",
    b"two\nlines.png": "normal/two\\nlines.png",
    b"return\r.png": "normal/return\\r.png",
    b"deep\xff/1.png": "normal/deep\\xff/1.png",
}
UNUSUAL_NAMES = [
    'a "b", c.png',
    "'; --.png",
    "é" * 125 + ".png",
    "膝 1.png",
    "x" * 251 + ".png",
    " lead and trail .png ",
]


@pytest.mark.skipif(sys.platform == "darwin", reason="the file system refuses names that are not UTF-8")
def test_an_image_whose_name_cannot_be_written_is_quarantined_and_any_other_name_is_right(study) -> None:
    for seed, name in enumerate([*map(os.fsdecode, ODD_NAMES), *UNUSUAL_NAMES]):
        study.image(f"data/raw/normal/{name}", seed=100 + seed)
    study.change({"split.max_bad_fraction": 0.5})
    done = study.stage("split")
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(study.folder / "data/split/quarantine.csv").set_index("path")
    assert set(table.index) == set(ODD_NAMES.values())
    assert table.loc["normal/latin\\xe9.png", "reason"] == "a name that is not UTF-8 text; rename the file"
    assert table.loc["normal/return\\r.png", "reason"].endswith("control character in its name; rename the file")
    manifest = pd.read_csv(study.folder / "data/split/manifest.csv", keep_default_na=False)
    assert {f"normal/{name}" for name in UNUSUAL_NAMES} <= set(manifest["path"])
    assert len(manifest) == 6 + len(UNUSUAL_NAMES)
    assert study.stage("denoise").returncode == 0
    assert len(list((study.folder / "data/denoised").iterdir())) == len(manifest)


def test_too_many_bad_images_stop_the_split_in_one_line(spoiled) -> None:
    (spoiled.folder / "data/split/manifest.csv").unlink()
    spoiled.change({"split.max_bad_fraction": 0.3})
    done = spoiled.stage("split")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert len(findings(done.stderr)) == 1
    for name in ("at most 30%", "9 of 26", "split.max_bad_fraction"):
        assert name in findings(done.stderr)[0]
    assert not (spoiled.folder / "data/split/manifest.csv").exists()
