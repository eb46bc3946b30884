"""The split stage on the files of real folders: each is read or quarantined with its reason."""

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from pydicom import uid
from xrays import SECRET_ID, SECRET_NAME, dicom_file, encoded, png_header, written

from bonexray.data.manifest import image_id

RNG = np.random.default_rng(0)


def gray() -> np.ndarray:
    """Return new pixels at each call, so that no two files have the same bytes."""
    return RNG.integers(0, 256, (24, 32), np.uint8)


def deep() -> np.ndarray:
    return RNG.integers(0, 65_536, (24, 32), np.uint16)


def picture(file_format: str = "PNG", part: float = 1, **options: object) -> bytes:
    return encoded(Image.fromarray(gray()), file_format, part, **options)


def cut(content: bytes, part: float) -> bytes:
    return content[: int(len(content) * part)]


def floats_with_nan() -> bytes:
    return encoded(Image.fromarray(np.where(gray() > 9, 0.5, np.nan).astype(np.float32)), "TIFF")


GOOD = {
    "normal/same name.png": picture(),
    "osteoporosis/same name.png": picture(),
    "normal/Knie_été_膝_🦴.png": picture(),
    f"normal/{'long' * 55}.png": picture(),
    "osteoporosis/commas, \"quotes\" and 'others'.png": picture(),
    "osteoporosis/a folder.png/inside.png": picture(),
    "osteoporosis/no_ending": picture(),
    "normal/scan.jpg": picture("JPEG"),
    "normal/scan.tif": encoded(Image.fromarray(deep()), "TIFF"),
    "normal/scan.webp": picture("WEBP"),
    "normal/knee.dcm": dicom_file(deep(), PatientID="SECRET-9"),
    "osteoporosis/1/knee": dicom_file(deep()),
    "osteoporosis/2/knee": dicom_file(deep(), uid.RLELossless),
}

BAD = {
    "normal/empty.png": (b"", "empty file"),
    "normal/pointer.png": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "Git LFS pointer"),
    "normal/page.png": (b"<!DOCTYPE html><title>404</title>", "it looks like an HTML page"),
    "normal/pixel.png": (encoded(Image.fromarray(gray()[:1, :1]), "PNG"), "every pixel has the same value"),
    "normal/constant.png": (encoded(Image.new("L", (32, 24), 9), "PNG"), "every pixel has the same value"),
    "normal/nan.tif": (floats_with_nan(), "floating-point values outside [0, 1]"),
    "normal/bomb.png": (png_header(60_000, 60_000), "pixels"),
    "normal/bomb.dcm": (dicom_file(gray(), Rows=60_000, Columns=60_000), "60000 x 60000 px"),
    "osteoporosis/pages.tif": (
        picture("TIFF", save_all=True, append_images=[Image.fromarray(gray())]),
        "2 pages or frames",
    ),
    "osteoporosis/frames.dcm": (dicom_file(gray(), NumberOfFrames=2), "2 frames, one expected"),
    "osteoporosis/lossless.dcm": (dicom_file(gray(), uid.JPEGLosslessSV1), "JPEG Lossless"),
    "osteoporosis/no_pixels.dcm": (dicom_file(gray(), PixelData=None), "without pixel data"),
    **{f"normal/cut_{part}.png": (picture("PNG", part), "") for part in (0.01, 0.3, 0.6, 0.95)},
    **{f"normal/cut_{part}.jpg": (picture("JPEG", part), "") for part in (0.01, 0.3, 0.6, 0.95)},
    **{f"osteoporosis/cut_{part}.tif": (picture("TIFF", part), "") for part in (0.01, 0.3, 0.6, 0.95)},
    **{f"osteoporosis/cut_{part}.dcm": (cut(dicom_file(deep()), part), "DICOM") for part in (0.15, 0.3, 0.6, 0.95)},
}

LINKS = {
    "normal/dangling.png": ("nowhere.png", "no such file, or a broken link"),
    "normal/itself.png": ("itself.png", ""),
    "normal/outside.png": ("../../../outside.png", "a link that leaves the dataset's folder"),
}
REASONS = {path: reason for path, (_, reason) in (BAD | LINKS).items()}
LITTER = ("normal/Thumbs.db", "normal/desktop.ini", "osteoporosis/.DS_Store", ".cache/1.png", "osteoporosis/.1.png.swp")


@pytest.fixture(scope="module")
def zoo(make_study):
    """Run the split stage on these files and the six valid images of a study; return the study and its output."""
    study = make_study()
    root = study.folder / "data/raw"
    for path, content in {**GOOD, **{path: content for path, (content, _) in BAD.items()}}.items():
        written(root / path, content)
    for path in LITTER:
        written(root / path, b"litter")
    (root / "normal/empty folder.png").mkdir()
    written(study.folder / "outside.png", picture())
    for path, (target, _) in LINKS.items():
        (root / path).symlink_to(target)
    study.change({"split.max_bad_fraction": 0.9})
    done = study.stage("split")
    assert done.returncode == 0, done.stderr
    return study, done.stdout + done.stderr


def table(zoo, name: str) -> pd.DataFrame:
    return pd.read_csv(zoo[0].folder / "data/split" / name, dtype=str, keep_default_na=False).set_index("path")


def test_every_readable_file_is_in_the_manifest(zoo) -> None:
    sound = {f"{label}/{number}.png" for label in ("normal", "osteoporosis") for number in range(3)}
    assert set(table(zoo, "manifest.csv").index) == sound | set(GOOD)
    assert table(zoo, "manifest.csv")["id"].is_unique


def test_the_quarantine_is_complete_and_gives_a_reason_for_each(zoo) -> None:
    reasons = table(zoo, "quarantine.csv")["reason"]
    assert set(reasons.index) == set(REASONS)
    assert [path for path, reason in REASONS.items() if reason not in reasons[path]] == []
    assert reasons.str.len().min() > 0
    assert reasons.str.len().max() < 200
    assert not reasons.str.contains(str(zoo[0].folder), regex=False).any()
    assert json.loads((zoo[0].folder / "metrics/data.json").read_text())["quarantined"] == len(REASONS)


def test_one_name_in_two_classes_is_two_images(zoo) -> None:
    manifest = table(zoo, "manifest.csv")
    one, other = (manifest.loc[f"{label}/same name.png"] for label in ("normal", "osteoporosis"))
    assert [one["label"], other["label"]] == ["normal", "osteoporosis"]
    assert one["id"] == image_id("normal/same name.png") != other["id"]
    assert one["group"] != other["group"]


def test_files_of_one_dicom_patient_share_a_group_named_by_a_path(zoo) -> None:
    groups = table(zoo, "manifest.csv")["group"]
    assert groups["osteoporosis/1/knee"] == groups["osteoporosis/2/knee"] == "osteoporosis/1/knee"
    assert groups["normal/knee.dcm"] == "normal/knee.dcm"


def test_no_file_and_no_output_names_a_dicom_patient(zoo) -> None:
    study, said = zoo
    written_files = [path for path in study.folder.rglob("*") if path.is_file() and "raw" not in path.parts]
    assert {"manifest.csv", "quarantine.csv", "data.json"} <= {path.name for path in written_files}
    assert any(path.suffix == ".log" for path in written_files)
    for text in [said, *(path.read_text(errors="replace") for path in written_files)]:
        assert not [name for name in (SECRET_ID, "SECRET", *SECRET_NAME.split("^")) if name in text]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_quarantined(study) -> None:
    (study.folder / "data/raw/normal/3.png").write_bytes(picture())
    locked: Path = study.image("data/raw/normal/locked.png", seed=99)
    locked.chmod(0)
    done = study.stage("split")
    assert done.returncode == 0, done.stderr
    reasons = pd.read_csv(study.folder / "data/split/quarantine.csv").set_index("path")["reason"]
    assert reasons.to_dict() == {"normal/locked.png": "no permission to read the file"}
