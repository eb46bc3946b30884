"""The split stage puts images that cannot be used into quarantine, each with its reason."""

import json
import os
import sys

import numpy as np
import pandas as pd
import pytest
from console import findings
from PIL import Image

from bonexray.images.reading import write_png16
from bonexray.phantom.simulation import simulate


@pytest.fixture(scope="module")
def spoiled(make_study):
    """Run the split stage on seventeen usable and nine unusable images; return the study."""
    study = make_study()
    for number in range(3, 8):
        study.image(f"data/raw/normal/{number}.png", seed=number)
        study.image(f"data/raw/osteoporosis/{number}.png", seed=10 + number)
    good = (study.folder / "data/raw/normal/0.png").read_bytes()
    jpeg = study.folder / "whole.jpg"
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (64, 64), np.uint8)).save(jpeg)
    study.write("data/raw/normal/empty.png", b"")
    study.write("data/raw/normal/text.jpg", "this is no image\n")
    study.write("data/raw/normal/notes.dcm", "neither is this\n")
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
        "normal/text.jpg": "it looks like text",
        "normal/notes.dcm": "it looks like text",
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
def test_an_image_is_quarantined_only_if_its_name_cannot_be_written(study) -> None:
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


def test_copies_under_two_labels_are_quarantined_and_reported(study) -> None:
    (radiograph, *_) = simulate(1, 160, 400.0, 2.0, 7)
    picture = Image.fromarray((radiograph.noisy.clip(0, 1) * 255).astype(np.uint8))
    picture.save(study.folder / "data/raw/normal/whole.png")
    picture.save(study.folder / "data/raw/osteoporosis/again.jpg", quality=85)
    study.change({"split.max_bad_fraction": 0.5})
    done = study.stage("split")
    assert done.returncode == 0, done.stderr
    assert "2 copies under two labels are quarantined" in done.stderr
    table = pd.read_csv(study.folder / "data/split/quarantine.csv").set_index("path")
    assert set(table.index) == {"normal/whole.png", "osteoporosis/again.jpg"}
    assert "a copy of osteoporosis/again.jpg" in table.loc["normal/whole.png", "reason"]
    metrics = json.loads((study.folder / "metrics/data.json").read_text())
    counts = ("images", "quarantined", "contradictory_labels", "contradictory_copies", "lookalike_pairs_of_two_labels")
    assert [metrics[name] for name in counts] == [6, 2, 0, 2, 1]
    page = (study.folder / "reports/audit.md").read_text()
    assert "| images of these that are quarantined, because the right label is unknown | 2 |" in page
    assert "`normal/whole.png`" in page and "`osteoporosis/again.jpg`" in page
