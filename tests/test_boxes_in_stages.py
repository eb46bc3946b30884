"""Boxes of a dataset of one's own, from its files through the stages to the prepared images."""

import json
import runpy
from contextlib import chdir
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import REPOSITORY, Study
from PIL import Image

from bonexray.base.errors import BonexrayError
from bonexray.data.manifest import read_manifest
from bonexray.dataset.sources import list_sources
from bonexray.images.reading import write_png16
from bonexray.regions.files import MASKS, boxes_by_image, read_boxes, read_original
from bonexray.regions.geometry import Box, inside
from bonexray.study import load_settings

HEIGHT, WIDTH, PX = 48, 80, 40


def run(folder: Path) -> None:
    """Run the stages before the networks in the folder of a study."""
    with chdir(folder):
        for name in ("split", "denoise", "prepare"):
            runpy.run_path(str(REPOSITORY / f"stages/{name}.py"))["main"](load_settings())


@pytest.fixture
def annotated(study: Study, monkeypatch: pytest.MonkeyPatch) -> Study:
    """A study of images that are not square, with a bright rectangle in those of one class and its box in COCO."""
    monkeypatch.setenv("DVC_ROOT", str(study.folder))
    for path in (study.folder / "data/raw").rglob("*.png"):
        path.unlink()
    rng, images, annotations = np.random.default_rng(3), [], []
    for number in range(16):
        pixels = 0.2 * rng.random((HEIGHT, WIDTH))
        label, name = ("fracture", "normal")[number % 2], f"{number:02d}.png"
        images.append({"id": number, "file_name": f"{label}/{name}", "height": HEIGHT, "width": WIDTH})
        if label == "fracture":
            left, top = (int(corner) for corner in rng.integers(2, (50, 26)))
            pixels[top : top + 16, left : left + 24] += 0.7
            annotations.append({"id": number, "image_id": number, "category_id": 1, "bbox": [left, top, 24, 16]})
        write_png16(study.write(f"data/raw/{label}/{name}", b""), pixels)
    content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "fracture"}]}
    study.write("data/raw/coco.json", json.dumps(content))
    study.change({"dataset.boxes": "data/raw/coco.json", "prepare.img_px": PX, "denoise.method": "median"})
    return study


@pytest.mark.parametrize("resize", ["pad", "stretch"])
def test_the_bright_part_of_a_prepared_image_is_in_its_box(annotated: Study, resize: str) -> None:
    annotated.change({"prepare.resize": resize})
    run(annotated.folder)
    with chdir(annotated.folder):
        manifest, boxes, images = read_manifest(), boxes_by_image(read_boxes()), np.load("data/prepared/images.npy")
        broken = manifest.loc[manifest["label"] == "fracture", "id"]
        assert set(boxes) == set(broken) and len(read_original()) == len(broken) == 8
        for row, name in enumerate(manifest["id"]):
            if name in boxes:
                box, bright = inside(boxes[name], PX), images[row] > 0.5
                around = [Box(left - 1, top - 1, right + 1, bottom + 1) for left, top, right, bottom in boxes[name]]
                assert not (bright & ~inside(around, PX)).any()  # edges are blurred by the filter and by resizing
                assert (bright & box).sum() > 0.8 * box.sum()
        assert np.load(MASKS).shape == images.shape


def test_a_study_without_boxes_has_an_empty_table_and_the_same_other_files(annotated: Study) -> None:
    run(annotated.folder)
    with chdir(annotated.folder):
        before = {path: path.read_bytes() for path in Path("data").rglob("*") if path.is_file()}
    annotated.change({"dataset.boxes": None})
    run(annotated.folder)
    with chdir(annotated.folder):
        after = {path: path.read_bytes() for path in Path("data").rglob("*") if path.is_file()}
        assert read_original().empty
    gone = {str(path) for path in before.keys() - after.keys()}
    assert gone == {"data/prepared/boxes.csv", "data/prepared/masks.npy"}
    changed = {str(path) for path in after if after[path] != before[path]}
    assert changed == {"data/split/regions/boxes.csv"}


def test_boxes_of_an_image_that_is_quarantined_or_left_out_are_not_kept(annotated: Study) -> None:
    raw = annotated.folder / "data/raw/fracture"
    (raw / "00.png").write_bytes(b"damaged")
    annotated.change({"split.subset": 0.75})
    run(annotated.folder)
    with chdir(annotated.folder):
        quarantined = pd.read_csv("data/split/quarantine.csv")
        assert list(quarantined["path"]) == ["fracture/00.png"]
        kept = set(read_manifest().query("label == 'fracture'")["id"])
        assert set(read_boxes()["id"]) == kept and len(kept) < 7


def test_masks_inside_the_root_are_no_images_of_a_class(annotated: Study) -> None:
    for path in sorted((annotated.folder / "data/raw/fracture").glob("*.png")):
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        mask[10:20, 30:50] = 1
        target = annotated.folder / "data/raw/masks" / f"{path.stem}_mask.png"
        target.parent.mkdir(exist_ok=True)
        Image.fromarray(mask).save(target)
    annotated.change({"dataset.boxes": "data/raw/masks"})
    with chdir(annotated.folder):
        assert {source.label for source in list_sources(load_settings().dataset)} == {"fracture", "normal"}
    run(annotated.folder)
    with chdir(annotated.folder):
        assert read_boxes()["mask"].tolist() == [1] * 8
        masks, manifest = np.load(MASKS), read_manifest()
        assert ((masks.max(axis=(1, 2)) > 0.9) == (manifest["label"] == "fracture").to_numpy()).all()


def test_a_wrong_box_stops_the_study_in_one_line(annotated: Study) -> None:
    path = annotated.folder / "data/raw/coco.json"
    content = json.loads(path.read_text())
    content["annotations"][2]["bbox"][0] = 70
    path.write_text(json.dumps(content))
    with pytest.raises(BonexrayError, match=r"^dataset\.boxes: .*coco\.json, annotation 4: expected a box inside"):
        run(annotated.folder)
    assert not (annotated.folder / "data/split/regions").exists()


def test_boxes_of_no_format_are_found_before_any_work(annotated: Study) -> None:
    annotated.write("data/raw/notes.md", "none")
    annotated.change({"dataset.boxes": "data/raw/notes.md"})
    from bonexray.check import inspect

    with chdir(annotated.folder):
        findings = [str(finding) for finding in inspect().findings]
    assert [finding for finding in findings if finding.startswith("dataset.boxes")], findings
