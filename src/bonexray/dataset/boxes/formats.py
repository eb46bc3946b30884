"""The table of formats: how each is recognised, and its reader."""

import os
from collections.abc import Callable, Container
from dataclasses import dataclass
from pathlib import Path

from bonexray.base.errors import BonexrayError
from bonexray.dataset.boxes.annotation import SETTING, Annotation, Images, refused
from bonexray.dataset.boxes.coco import read_coco
from bonexray.dataset.boxes.masks import FOLDER, TABLE, mask_files, read_boxes_and_masks, read_masks
from bonexray.dataset.boxes.tabular import read_csv_boxes
from bonexray.dataset.boxes.voc import read_voc
from bonexray.dataset.boxes.yolo import label_files, read_yolo
from bonexray.dataset.links import is_outside
from bonexray.dataset.settings import Dataset

Reader = Callable[[Path, Images, Container[str]], dict[str, Annotation]]


@dataclass(frozen=True)
class Format:
    """A format of annotations.

    Attributes:
        content: what it consists of, for messages.
        recognises: whether a path has this format.
        read: returns the annotations by the path of the image.
    """

    content: str
    recognises: Callable[[Path], bool]
    read: Reader


def _is_file(suffix: str) -> Callable[[Path], bool]:
    return lambda path: path.is_file() and path.suffix.casefold() == suffix


def _has_table(path: Path) -> bool:
    return (path / TABLE).is_file() and (path / FOLDER).is_dir()


FORMATS: dict[str, Format] = {
    "csv": Format("a CSV file", _is_file(".csv"), read_csv_boxes),
    "coco": Format("a JSON file of COCO", _is_file(".json"), read_coco),
    "phantom": Format("a folder with boxes.csv and masks/", _has_table, read_boxes_and_masks),
    "yolo": Format("a folder of YOLO's text files", lambda path: path.is_dir() and bool(label_files(path)), read_yolo),
    "voc": Format("a folder of Pascal VOC's XML files", lambda path: any(path.rglob("*.xml")), read_voc),
    "masks": Format("a folder of masks", lambda path: bool(mask_files(path)), read_masks),
}


def read_annotations(dataset: Dataset, sizes: dict[str, tuple[int, int]]) -> dict[str, Annotation]:
    """Read the boxes and masks of a dataset; none if `dataset.boxes` is not set.

    Args:
        dataset: with `boxes` and `box_labels`.
        sizes: path of each image relative to the root, to its height and width in pixels.

    Returns:
        Path of an image to its regions; an image without any is left out.

    Raises:
        BonexrayError: the format is not known, or an annotation is refused.
    """
    if dataset.boxes is None:
        return {}
    require_watched_boxes(dataset)
    path = Path(dataset.boxes)
    return format_of(path).read(path, Images(sizes), frozenset(dataset.box_labels))


def require_watched_boxes(dataset: Dataset) -> None:
    """Refuse boxes that lie outside the files that DVC watches, by their path or by a link."""
    if dataset.boxes is None:
        return
    path = Path(os.path.normpath(Path(dataset.boxes).absolute()))
    watched = (Path(os.path.normpath(Path(each).absolute())) for each in dataset.inputs)
    if not any(path.is_relative_to(each) and not is_outside(each, path) for each in watched):
        do = "move it there, beside the images"
        raise BonexrayError(SETTING, expected=f"a path in {dataset.inputs[0]}", received=dataset.boxes, do=do)


def format_of(path: Path) -> Format:
    """Return the format of a file or folder; exactly one must recognise it."""
    names = [name for name, row in FORMATS.items() if row.recognises(path)]
    if "phantom" in names:
        return FORMATS["phantom"]
    if len(names) == 1:
        return FORMATS[names[0]]
    expected = ", or ".join(row.content for row in FORMATS.values())
    received = f"{path}: " + (" and ".join(FORMATS[name].content for name in names) if names else "none of these")
    raise refused(str(path), expected, received, "give one format alone" if names else "correct the path")
