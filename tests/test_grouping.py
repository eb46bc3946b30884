"""Groups of images, and the policies for groups that cross the splits of the dataset."""

import hashlib
import shutil
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from audited import CLASSES, LOCAL, built, image, settings, splits_of
from PIL import Image
from xrays import dicom_file, written

from bonexray.base.errors import BonexrayError
from bonexray.base.files import read_json
from bonexray.data.manifest import SPLITS
from bonexray.dataset.source import Source
from bonexray.images.reading import write_png16
from bonexray.phantom.simulation import simulate
from bonexray.split.audit import AuditedImage, audit_images
from bonexray.split.contradictions import refuse_contradictions
from bonexray.split.grouping import find_copies, groups_of
from bonexray.split.lookalikes import Pair
from bonexray.split.settings import Audit

# Groups


def test_patients_and_bytes_link_images_in_a_chain() -> None:
    items = [
        image("1", group="p1"),
        image("2", group="p1", sha="same"),
        image("3", group="p2", sha="same"),
        image("4", group="p2"),
        image("5"),
        image("6", sha="twin"),
        image("7", sha="twin"),
    ]
    numbers = groups_of(items).tolist()
    assert len(set(numbers[:4])) == 1
    assert numbers[5] == numbers[6]
    assert len({numbers[0], numbers[4], numbers[5]}) == 3


def test_bytes_and_contradictions_are_found_in_files(tmp_path: Path) -> None:
    sources = []
    for name, label, seed in [("1", "a", 0), ("2", "a", 0), ("3", "a", 1), ("4", "b", 1), ("5", "b", 2)]:
        write_png16(tmp_path / name, np.random.default_rng(seed).random((8, 8)))
        sources.append(Source(name, label, None, None))
    found = refuse_contradictions(audit_images(tmp_path, sources, LOCAL), [])
    assert [item.source for item in found] == sources
    assert [item.reason is None for item in found] == [True, True, False, False, True]
    assert found[0].sha256 == found[1].sha256 != found[4].sha256


def test_names_patients_and_bytes_link_images_in_a_chain() -> None:
    linked = [
        image("1", group="knee 1", patient="k1"),
        image("2", patient="k1"),
        image("3", group="knee 1", sha="same"),
        image("4", patient="k2", sha="same"),
        image("5", patient="k2"),
    ]
    apart = [image("6", group="k1"), image("7", patient="knee 1"), image("8")]
    numbers = groups_of(linked + apart).tolist()
    assert len(set(numbers[:5])) == 1
    assert len(set(numbers[4:])) == 4


def test_a_dicom_patient_is_a_group_whose_key_no_manifest_holds(tmp_path: Path) -> None:
    sources = []
    for number in range(12):
        label, patient = CLASSES[number % 2], ["SECRET-123", f"other {number}"][number > 3]
        stored = np.random.default_rng(number).integers(0, 65_536, (8, 8), np.uint16)
        written(tmp_path / label / f"{number:02}.dcm", dicom_file(stored, PatientID=patient))
        sources.append(Source(f"{label}/{number:02}.dcm", label, None, None))
    runs = [audit_images(tmp_path, sources, LOCAL) for _ in range(2)]
    assert not {item.patient for item in runs[0]} & {item.patient for item in runs[1]}
    one, other = (built(run, settings()).to_csv() for run in runs)
    assert one == other
    rows = built(runs[0], settings()).set_index("path")
    assert rows.loc[[source.path for source in sources[:4]], ["group", "split"]].drop_duplicates().shape == (1, 2)
    assert rows["group"].nunique() == 9
    for text in ("SECRET-123", hashlib.sha256(b"SECRET-123").hexdigest(), *(item.patient for item in runs[0])):
        assert text not in one
        assert text not in repr(runs[0])


def test_the_facts_of_a_file_are_kept(tmp_path: Path) -> None:
    write_png16(tmp_path / "good.png", np.linspace(0, 1, 12).reshape(3, 4))
    written(tmp_path / "bad.png", b"<html>")
    sources = [Source(name, "a", None, None) for name in ("good.png", "bad.png")]
    good, bad = audit_images(tmp_path, sources, LOCAL)
    assert (good.height, good.width, good.file_format, good.mode, good.patient) == (3, 4, "PNG", "I;16", None)
    assert good.file_bytes == (tmp_path / "good.png").stat().st_size
    assert good.mean == pytest.approx(0.5, abs=1e-4)
    assert (bad.height, bad.width, bad.file_format, bad.mode, bad.file_bytes) == (0, 0, "", "", 0)
    assert np.isnan(bad.mean)


def test_the_same_pixels_in_another_file_share_a_group(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 40), np.uint8)
    for name in ("1.png", "2.bmp"):
        Image.fromarray(pixels).save(tmp_path / name)
    found = audit_images(tmp_path, [Source(name, "a", None, None) for name in ("1.png", "2.bmp")], LOCAL)
    assert found[0].sha256 != found[1].sha256
    assert len(set(groups_of(found))) == 1


def test_copies_are_named_by_their_rows(tmp_path: Path) -> None:
    radiographs = [radiograph.noisy for radiograph in simulate(12, 96, 400.0, 2.0, 7)][:12]
    pictures = [radiographs[0], radiographs[0], *radiographs[1:10], radiographs[5][:, ::-1]]
    for number, picture in enumerate(pictures):
        write_png16(tmp_path / f"{number:02}.png", picture)
    found = audit_images(tmp_path, [Source(f"{n:02}.png", "a", None, None) for n in range(len(pictures))], LOCAL)
    pairs = find_copies(found, Audit(neighbours=8, likeness=0.7, crossing="regroup"), LOCAL)
    assert [(pair.one, pair.other) for pair in pairs] == [(6, 11)]
    groups = groups_of(found, pairs)
    assert groups[0] == groups[1] != groups[6] == groups[11]
    assert len(set(groups)) == 10


# Groups that cross the splits of the dataset


def pre_split() -> list[AuditedImage]:
    """Six patients for each class and split; images 0 and 100 are copies, in validation and test."""
    names = [(split, label, number) for split in SPLITS for label in CLASSES for number in range(6)]
    return [image(f"{s}/{c}/{n}", c, group=f"{s} {c} {n}", split=s) for s, c, n in names]


COPY = Pair(12, 24, 0.9)  # of val/normal/0 and test/normal/0


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("regroup", {"val/normal/0": "train", "test/normal/0": "train"}),
        ("drop", {"test/normal/0": "test"}),
        ("trust", {"val/normal/0": "val", "test/normal/0": "test"}),
    ],
)
def test_a_copy_in_another_split_is_treated_by_the_policy(policy: str, expected: dict[str, str]) -> None:
    rows = built(pre_split(), settings(), policy, [COPY])
    split = splits_of(rows)
    assert {path: split[path] for path in ("val/normal/0", "test/normal/0") if path in split} == expected
    assert {path: name for path, name in split.items() if path not in expected} == {
        item.source.path: item.source.split
        for item in pre_split()
        if item.source.path not in ("val/normal/0", "test/normal/0")
    }
    assert len(set(rows.set_index("path").loc[list(expected), "group"])) == 1


def test_a_copy_in_another_split_can_be_refused() -> None:
    with pytest.raises(BonexrayError, match="2 images of 1 groups in several: val/normal/0 and test/normal/0"):
        built(pre_split(), settings(), "refuse", [COPY])
    assert len(built(pre_split(), settings(), "refuse")) == 36


@pytest.fixture
def crossed(study):
    """A study with splits of its own and one image in both training and test, in different files."""
    shutil.rmtree(study.folder / "data/raw")
    seeds = iter(range(100))
    for split, label, number in product(SPLITS, ("normal", "osteoporosis"), range(2)):
        study.image(f"data/raw/{split}/{label}/{number}.png", next(seeds))
    with Image.open(study.folder / "data/raw/train/normal/0.png") as picture:
        picture.save(study.folder / "data/raw/test/normal/again.tiff")
    return study


@pytest.mark.parametrize(
    ("policy", "suspect", "regrouped"), [("trust", True, 0), ("regroup", False, 1), ("drop", False, 0)]
)
def test_the_stage_counts_crossing_images_and_marks_a_trusted_split(
    crossed, policy: str, suspect: bool, regrouped: int
) -> None:
    crossed.change({"audit.crossing": policy})
    done = crossed.stage("split")
    assert done.returncode == 0, done.stderr
    found = read_json(crossed.folder / "metrics/data.json")
    assert (found["crossing_images"], found["leak_suspect"], found["regrouped"]) == (2, suspect, regrouped)
    assert read_json(crossed.folder / "data/split/classes.json")["leak_suspect"] == suspect
    page = (crossed.folder / "reports/audit.md").read_text()
    assert "| images whose group crosses the splits of the dataset | 2 |" in page
    assert ("leak_suspect" in page) == suspect
    assert (crossed.folder / "reports/audit/pairs.png").stat().st_size > 1000


def test_the_stage_refuses_crossing_groups_in_one_line(crossed) -> None:
    crossed.change({"audit.crossing": "refuse"})
    done = crossed.stage("split")
    assert done.returncode == 1
    assert "test/normal/again.tiff and train/normal/0.png belong together" in done.stderr
    assert "Traceback" not in done.stderr
