"""Boxes and masks beside images: every format says the same, and what is hostile or wrong is refused in one line."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bonexray.base.errors import BonexrayError
from bonexray.dataset.boxes.formats import FORMATS, format_of, read_annotations
from bonexray.dataset.boxes.masks import read_mask
from bonexray.dataset.settings import Dataset
from bonexray.regions.geometry import Box

SIZES = {"a/one.png": (40, 60), "a/two.png": (40, 60), "b/deep.v1.png": (20, 20), "b/bad.png": (0, 0)}
EXPECTED = {"a/one.png": [Box(10, 20, 30, 25)], "b/deep.v1.png": [Box(0, 0, 5, 5), Box(10, 10, 20, 20)]}


def dataset(path: Path, labels: tuple[str, ...] = ()) -> Dataset:
    return Dataset(name="test", root="data", inputs=[str(path.parent)], boxes=str(path), box_labels=list(labels))


def read(path: Path, *labels: str) -> dict[str, list[Box]]:
    return {name: found.boxes for name, found in read_annotations(dataset(path, labels), SIZES).items()}


def lay_out(folder: Path, files: dict[str, str | np.ndarray]) -> Path:
    for name, content in files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            target.write_text(content, encoding="utf-8")
        else:
            Image.fromarray(content.astype(np.uint8)).save(target)
    return folder / next(iter(files)) if len(files) == 1 and "/" not in next(iter(files)) else folder


def painted(size: tuple[int, int], *boxes: Box, value: int = 255) -> np.ndarray:
    mask = np.zeros(size, np.uint8)
    for left, top, right, bottom in boxes:
        mask[top:bottom, left:right] = value
    return mask


def coco(**changes: object) -> dict:
    boxes = [(1, [10, 20, 20, 5]), (2, [0, 0, 5, 5]), (2, [10, 10, 10, 10])]
    content = {
        "images": [
            {"id": 1, "file_name": "a/one.png", "height": 40, "width": 60},
            {"id": 2, "file_name": "deep.v1.png", "height": 20, "width": 20},
            {"id": 3, "file_name": "elsewhere.png"},
        ],
        "categories": [{"id": 7, "name": "fracture"}, {"id": 8, "name": "metal"}],
        "annotations": [
            {"id": number, "image_id": image, "category_id": 7, "bbox": box}
            for number, (image, box) in enumerate(boxes)
        ],
    }
    return {**content, **changes}


def voc(name: str, size: tuple[int, int], *boxes: Box, kind: str = "fracture", head: str = "") -> str:
    edges = [f"<xmin>{b.left}</xmin><ymin>{b.top}</ymin><xmax>{b.right}</xmax><ymax>{b.bottom}</ymax>" for b in boxes]
    objects = "".join(f"<object><name>{kind}</name><bndbox>{edge}</bndbox></object>" for edge in edges)
    shape = f"<size><width>{size[1]}</width><height>{size[0]}</height><depth>1</depth></size>"
    return f"{head}<annotation><filename>{name}</filename>{shape}{objects}</annotation>"


ONE, DEEP = EXPECTED["a/one.png"], EXPECTED["b/deep.v1.png"]
CSV = "image,left,top,right,bottom\na/one.png,10,20,30,25\ndeep.v1,0,0,5,5\nb/deep.v1.png,10,10,20,20\na/two.png,,,,\n"
XYWH = "filename;x;y;w;h\none.png;10;20;20;5\ndeep.v1.png;0;0;5;5\ndeep.v1.png;10;10;10;10\n"
ROBOFLOW = (
    "filename,width,height,class,xmin,ymin,xmax,ymax\none.png,60,40,fracture,10,20,30,25\n"
    "deep.v1.png,20,20,fracture,0,0,5,5\ndeep.v1.png,20,20,fracture,10,10,20,20\n"
)
YOLO = {
    "labels/one.txt": f"3 {20 / 60} {22.5 / 40} {20 / 60} {5 / 40}\n",
    "labels/deep.v1.txt": "3 0.125 0.125 0.25 0.25\n3 0.5 0.5 1 0.5 1 1 0.5 1\n",  # the second is a polygon
    "labels/two.txt": "",
    "classes.txt": "a\nb\n",
}
VOC = {"x/one.xml": voc("one.png", (40, 60), *ONE), "x/deep.v1.xml": voc("", (20, 20), *DEEP)}
MASKS = {
    "a/one.png": painted((40, 60), *ONE, value=1),
    "b/deep.v1_mask.png": painted((20, 20), *DEEP),
    "a/two.png": painted((40, 60)),
}
WHOLE: dict[str, tuple[str, dict]] = {
    "csv": ("csv", {"boxes.csv": CSV}),
    "csv, corner and size": ("csv", {"boxes.csv": XYWH}),
    "csv of Roboflow": ("csv", {"_annotations.csv": ROBOFLOW}),
    "coco": ("coco", {"annotations.json": json.dumps(coco())}),
    "yolo": ("yolo", YOLO),
    "voc": ("voc", VOC),
    "masks": ("masks", MASKS),
    "phantom": ("phantom", {"boxes.csv": CSV, **{f"masks/{name}": mask for name, mask in MASKS.items()}}),
}


@pytest.mark.parametrize(("name", "files"), WHOLE.values(), ids=WHOLE)
def test_every_format_gives_the_same_boxes(name: str, files: dict, tmp_path: Path) -> None:
    path = lay_out(tmp_path, files)
    assert format_of(path) is FORMATS[name]
    found = read(path)
    assert set(found) == set(EXPECTED)
    for image, boxes in EXPECTED.items():
        assert np.array(found[image]) == pytest.approx(np.array(boxes))


def test_every_format_is_tested() -> None:
    assert {name for name, _ in WHOLE.values()} == set(FORMATS)


def test_masks_are_the_outlines_of_their_images(tmp_path: Path) -> None:
    folder = lay_out(tmp_path, MASKS)
    found = read_annotations(dataset(folder), SIZES)
    for name, boxes in EXPECTED.items():
        mask = read_mask(found[name].mask, folder, SIZES[name])
        assert np.array_equal(mask, painted(SIZES[name], *boxes) > 0)


def test_only_boxes_of_the_labels_count(tmp_path: Path) -> None:
    content = coco()
    content["annotations"][1]["category_id"] = 8
    (tmp_path / "coco.json").write_text(json.dumps(content))
    assert len(read(tmp_path / "coco.json", "fracture")["b/deep.v1.png"]) == 1
    assert read(tmp_path / "coco.json", "metal") == {"b/deep.v1.png": [Box(0, 0, 5, 5)]}
    yolo = lay_out(tmp_path / "yolo", {"one.txt": "3 0.5 0.5 0.1 0.1\n8 0.5 0.5 1 1\n", "two.txt": "8 0.5 0.5 1 1\n"})
    assert [len(boxes) for boxes in read(yolo, "3").values()] == [1]
    lines = ROBOFLOW.replace("20,20,fracture,0", "20,20,text,0")
    assert len(read(lay_out(tmp_path, {"r.csv": lines}), "fracture")["b/deep.v1.png"]) == 1
    xml = lay_out(tmp_path / "voc", {"x/one.xml": voc("one.png", (40, 60), *ONE, kind="text")})
    assert read(xml, "fracture") == {}


def test_an_edge_that_rounding_moved_out_is_moved_back(tmp_path: Path) -> None:
    path = lay_out(tmp_path, {"boxes.csv": "image,left,top,right,bottom\none,-0.6,0,60.4,40.9\n"})
    assert read(path) == {"a/one.png": [Box(0, 0, 60, 40)]}


def test_what_is_said_of_an_image_that_cannot_be_read_is_not_checked(tmp_path: Path) -> None:
    path = lay_out(tmp_path, {"boxes.csv": "image,left,top,right,bottom\nbad.png,0,0,600,400\n"})
    assert list(read(path)) == ["b/bad.png"]


def of_csv(row: str, header: str = "image,left,top,right,bottom") -> dict:
    return {"boxes.csv": f"{header}\n{row}\n"}


def of_coco(**changes: object) -> dict:
    return {"a.json": json.dumps(coco(**changes))}


def bbox(*values: object, image: object = 1) -> dict:
    return of_coco(annotations=[{"id": 5, "image_id": image, "category_id": 7, "bbox": list(values)}])


BOMB = '<!DOCTYPE a [<!ENTITY b "aaaaaaaaaa"><!ENTITY c "&b;&b;&b;">]>'
OUTSIDE = '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>'
REFUSED: dict[str, tuple[dict, str]] = {
    "outside": (of_csv("one,10,20,62,25"), r"line 2.*inside the image of 60 x 40 px.*right 62"),
    "negative": (of_csv("one,-5,20,30,25"), r"inside the image.*left -5"),
    "no area": (of_csv("one,10,20,10,25"), "width and a height above 0"),
    "turned round": (of_csv("one,30,20,10,25"), "width and a height above 0"),
    "not a number": (of_csv("one,nan,20,30,25"), "width and a height above 0"),
    "infinite": (of_csv("one,0,0,inf,25"), "width and a height above 0"),
    "text": (of_csv("one,ten,20,30,25"), "numbers"),
    "unknown image": (of_csv("three.png,1,2,3,4"), "name of one image.*three.png, no image of the dataset"),
    "parent folder": (of_csv("../a/one.png,1,2,3,4"), "below dataset.root"),
    "absolute path": (of_csv("/etc/one.png,1,2,3,4"), "below dataset.root"),
    "drive": (of_csv(r"C:\a\one.png,1,2,3,4"), "below dataset.root"),
    "no column of images": (of_csv("1,2,3,4", "left,top,right,bottom"), "a column with the name of the image"),
    "no columns of a box": (of_csv("one,1,2", "image,left,top"), "the columns of a box, such as left, top"),
    "not JSON": ({"a.json": "{"}, "JSON"),
    "deep JSON": ({"a.json": "[" * 200_000}, "JSON"),
    "a list": ({"a.json": "[]"}, "an object with images and annotations"),
    "no annotations": ({"a.json": "{}"}, "list of objects"),
    "COCO outside": (bbox(50, 30, 20, 5), "annotation 5.*inside the image"),
    "COCO negative size": (bbox(30, 30, -5, 5), "annotation 5.*above 0"),
    "COCO three numbers": (bbox(1, 2, 3), "four numbers"),
    "COCO text": (bbox("1", "x", 3, 4), "numbers"),
    "COCO no such image": (bbox(1, 2, 3, 4, image=9), "id of an image"),
    "COCO unlisted image": (bbox(1, 2, 3, 4, image=3), "elsewhere.png"),
    "COCO other size": (
        of_coco(images=[{"id": n, "file_name": "one.png", "height": 80, "width": 60} for n in (1, 2)]),
        "the size of the image, 60 x 40 px",
    ),
    "YOLO outside": ({"l/one.txt": "0 0.9 0.5 0.4 0.1"}, "line 1.*inside the image"),
    "YOLO three numbers": ({"l/one.txt": "0 0.9 0.5 0.4"}, "4 numbers, or a polygon"),
    "YOLO text": ({"l/one.txt": "0 a b c d"}, "numbers"),
    "YOLO unknown": ({"l/three.txt": "0 0.5 0.5 0.4 0.1"}, "three"),
    "YOLO other bytes": ({"l/one.txt": "\udcff"}, "UTF-8"),
    "VOC entities": ({"l/one.xml": voc("&c;", (40, 60), *ONE, head=BOMB)}, "without a document type"),
    "VOC reads a file": ({"l/one.xml": voc("&b;", (40, 60), *ONE, head=OUTSIDE)}, "without a document type"),
    "VOC not XML": ({"l/one.xml": "<a>"}, "XML"),
    "VOC parent folder": ({"l/one.xml": voc("../../one.png", (40, 60), *ONE)}, "below dataset.root"),
    "VOC other size": ({"l/one.xml": voc("one.png", (60, 40), *ONE)}, "the size of the image"),
    "VOC without edges": ({"l/one.xml": "<a><filename>one.png</filename><object/></a>"}, "numbers"),
    "mask of another size": ({"m/one.png": painted((20, 20), Box(0, 0, 5, 5))}, "the size of the image"),
    "mask of no image": ({"m/three.png": painted((20, 20))}, "three"),
    "damaged mask": ({"m/one.png": "no picture"}, "a picture"),
    "mask without a box": (
        {"boxes.csv": CSV.split("a/one")[0], "masks/one.png": painted((40, 60), *ONE)},
        "a box of the",
    ),
    "two formats": ({"l/one.txt": "", "l/one.xml": "<a/>"}, "text files.*XML files"),
    "no format": ({"l/one.md": ""}, "none of these"),
}


@pytest.mark.parametrize(("files", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_hostile_or_wrong_is_refused_in_one_line(files: dict, message: str, tmp_path: Path) -> None:
    plain = {name: content for name, content in files.items() if not (isinstance(content, str) and "\udcff" in content)}
    path = lay_out(tmp_path, plain) if plain else tmp_path
    for name in set(files) - set(plain):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(BonexrayError, match=r"^dataset\.boxes: |^[^\n]*boxes\.csv") as refusal:
        read(path)
    assert re.search(message, str(refusal.value)), str(refusal.value)
    assert "\n" not in str(refusal.value) and "root:" not in str(refusal.value)


@pytest.mark.parametrize("name", ["one.txt", "one.png"])
def test_a_link_out_of_the_folder_is_not_followed(name: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    if name.endswith("png"):
        Image.fromarray(painted((40, 60), *ONE)).save(secret, format="PNG")
    else:
        secret.write_text("0 0.5 0.5 0.1 0.1")
    folder = tmp_path / "labels"
    folder.mkdir()
    (folder / name).symlink_to(secret)
    with pytest.raises(BonexrayError, match="a link out of it"):
        read(folder)


@pytest.mark.parametrize("place", ["elsewhere.csv", "data/../elsewhere.csv", "data/link.csv", "data/folder/boxes.csv"])
def test_boxes_outside_the_files_that_are_watched_are_refused(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lay_out(tmp_path / "outside", {"boxes.csv": CSV, "x/y.csv": CSV})
    lay_out(tmp_path, {"elsewhere.csv": CSV, "data/boxes.csv": CSV})
    (tmp_path / "data/link.csv").symlink_to(tmp_path / "elsewhere.csv")
    (tmp_path / "data/folder").symlink_to(tmp_path / "outside")
    sound = Dataset(name="test", root="data", inputs=["data"], boxes="data/boxes.csv")
    assert set(read_annotations(sound, SIZES)) == set(EXPECTED)
    with pytest.raises(BonexrayError, match=r"dataset\.boxes: expected a path in data, received"):
        read_annotations(sound.model_copy(update={"boxes": place}), SIZES)


def test_two_images_of_one_name_need_their_path(tmp_path: Path) -> None:
    sizes = {"a/one.png": (40, 60), "b/one.png": (40, 60)}
    path = lay_out(tmp_path, of_csv("one.png,1,2,3,4"))
    with pytest.raises(BonexrayError, match=r"one\.png, the name of 2 images"):
        read_annotations(dataset(path), sizes)
    lay_out(tmp_path, of_csv("b/one.png,1,2,3,4"))
    assert list(read_annotations(dataset(path), sizes)) == ["b/one.png"]


def test_a_dataset_without_boxes_has_no_annotations() -> None:
    assert read_annotations(Dataset(name="test", root="data", inputs=["data"]), SIZES) == {}
