"""Boxes in text files of the YOLO format, one file an image, as Ultralytics and Roboflow write them."""

from collections.abc import Container, Iterator
from pathlib import Path

from bonexray.dataset.boxes.annotation import Annotation, Images, checked, numbers, read_text, refused

NO_LABELS = ("classes.txt", "obj.names", "train.txt", "val.txt", "test.txt", "readme.txt", "license.txt")


def read_yolo(folder: Path, images: Images, labels: Container[str]) -> dict[str, Annotation]:
    """Read `<image>.txt`: a line has the number of the class and either centre x, centre y, width, height or a polygon.

    All are shares of the image's width and height.

    Args:
        folder: of the text files.
        images: of the dataset.
        labels: numbers of the classes whose boxes count; empty for all.
    """
    found = {}
    for path in label_files(folder):
        name = images.find(path.relative_to(folder).with_suffix("").as_posix(), str(path))
        boxes = list(_boxes(path, folder, images.sizes[name], labels))
        if boxes:
            found[name] = Annotation(boxes)
    return found


def label_files(folder: Path) -> list[Path]:
    """Return the text files of a folder that may hold boxes."""
    return sorted(path for path in folder.rglob("*.txt") if path.name.casefold() not in NO_LABELS)


def _boxes(path: Path, folder: Path, size: tuple[int, int], labels: Container[str]) -> Iterator:
    height, width = size
    for line, text in enumerate(read_text(path, folder).splitlines(), 1):
        where, parts = f"{path}, line {line}", text.split()
        if not parts or (labels and parts[0] not in labels):
            continue
        values = numbers(parts[1:], where)
        if len(values) == 4:
            x, y, w, h = values
            edges = (x - w / 2, y - h / 2, x + w / 2, y + h / 2)
        elif len(values) >= 6 and len(values) % 2 == 0:
            edges = (min(values[::2]), min(values[1::2]), max(values[::2]), max(values[1::2]))
        else:
            raise refused(where, "a class and 4 numbers, or a polygon", f"{len(values)} numbers", "correct the line")
        yield checked((edges[0] * width, edges[1] * height, edges[2] * width, edges[3] * height), size, where)
