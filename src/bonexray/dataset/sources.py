"""Which images a dataset has, by its folders or its CSV; no pixel is read here."""

import csv
import os
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from bonexray.dataset.settings import Dataset
from bonexray.errors import BonexrayError

_SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}
_LITTER = ("thumbs.db", "desktop.ini")  # what Windows leaves in a folder; hidden files are skipped anyway
_DVC_CACHE = re.compile(r"/files/md5/[0-9a-f]{2}/[0-9a-f]{30}$")


@dataclass(frozen=True)
class Source:
    """One image as the dataset names it.

    Attributes:
        path: below the dataset's root, with forward slashes.
        label: the class's name.
        group: patient or source picture, None where the dataset does not say.
        split: train, val or test where the dataset comes split, else None.
    """

    path: str
    label: str
    group: str | None
    split: str | None


def list_sources(dataset: Dataset) -> list[Source]:
    """All images of a dataset, by path.

    Raises:
        BonexrayError: root missing, empty, outside the repository by a relative path, or with fewer than two
            classes; a CSV without its column, or naming a file that is absent or outside the root; labels
            that `dataset.classes` does not have, or that cannot be printed.
    """
    root = dataset_root(dataset)
    found = _from_csv(dataset, root) if dataset.csv else _from_folders(dataset, root)
    _require_classes(dataset, {source.label for source in found})
    return sorted(found, key=lambda source: source.path)


def class_order(dataset: Dataset, sources: list[Source]) -> list[str]:
    """The one class map: a class's place in this list is its number everywhere."""
    return list(dataset.classes or sorted({source.label for source in sources}))


def dataset_root(dataset: Dataset) -> Path:
    """The dataset's folder, checked to exist and to mean the same from every workspace."""
    what, root = "dataset.root", Path(dataset.root)
    if not root.is_absolute() and ".." in Path(os.path.normpath(root)).parts:
        raise BonexrayError(
            what,
            expected="a folder inside the repository, or an absolute path",
            received=dataset.root,
            do="copy the images to data/raw and `dvc add data/raw`, or give the absolute path",
        )
    if not root.is_dir():
        received = "a file" if root.exists() else f"no such folder: {dataset.root}"
        raise BonexrayError(what, expected="a folder of images", received=received, do="set dataset.root")
    return root


def leaves(root: Path, path: Path) -> bool:
    """Whether a file's real place is outside the root; a link into DVC's cache is where DVC put the file."""
    real = Path(os.path.realpath(path))  # unlike resolve(), no error for a link to itself
    return not real.is_relative_to(root.resolve()) and not _DVC_CACHE.search(real.as_posix())


def name_fault(name: str) -> str | None:
    """Why a file's or a class's name cannot be written into the study's tables; None where it can."""
    kinds = {unicodedata.category(letter) for letter in name}
    if "Cs" in kinds:  # what Python makes of bytes of a file's name that it cannot decode
        return "a name that is not UTF-8 text"
    return "a line break or another control character in its name" if "Cc" in kinds else None


def escaped(name: str) -> str:
    r"""A name that can be printed: undecodable bytes and control characters as Python writes them, \xe9 and \n."""
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(repr(letter)[1:-1] if unicodedata.category(letter) == "Cc" else letter for letter in text)


def _from_folders(dataset: Dataset, root: Path) -> list[Source]:
    tops = {_SPLIT_NAMES.get(folder.name.lower()) for folder in _visible(root) if folder.is_dir()}
    presplit = "train" in tops and None not in tops
    found = []
    for folder, _, names in os.walk(root):
        for name in names:
            path = PurePosixPath(Path(folder, name).relative_to(root).as_posix())
            if name.lower() in _LITTER or any(part.startswith(".") for part in path.parts):
                continue
            split = _SPLIT_NAMES[path.parts[0].lower()] if presplit and len(path.parts) > 1 else None
            classes = path.parts[1:-1] if presplit else path.parts[:-1]
            if classes:  # a file beside the class folders is no image of any class
                found.append(Source(str(path), classes[0], _matched_group(dataset, str(path)), split))
    return found


def _visible(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if not path.name.startswith(".")]


def _from_csv(dataset: Dataset, root: Path) -> list[Source]:
    with _existing_csv(dataset).open(newline="", encoding="utf-8-sig") as stream:
        reader = csv.DictReader(stream, restval="")  # a row cut short has empty values
        try:
            header, rows = reader.fieldnames or [], list(reader)
        except UnicodeDecodeError as error:
            raise BonexrayError(
                str(dataset.csv),
                expected="UTF-8 text",
                received=f"byte {error.object[error.start]:#x}",
                do="save it as UTF-8",
            ) from None
    for key in ("image_column", "label_column", "group_column", "split_column"):
        _require_column(dataset, key, header)
    return [_row_source(dataset, root, number, row) for number, row in enumerate(rows, 2) if row[dataset.label_column]]


def _existing_csv(dataset: Dataset) -> Path:
    path = Path(str(dataset.csv))
    if not path.is_file():
        raise BonexrayError(
            "dataset.csv", expected="a CSV file", received=f"no such file: {path}", do="set dataset.csv"
        )
    return path


def _require_column(dataset: Dataset, key: str, header: list[str] | tuple[str, ...]) -> None:
    column = getattr(dataset, key)
    if column is not None and column not in header:
        raise BonexrayError(
            f"{dataset.csv}: dataset.{key}",
            expected=f"one of the columns {', '.join(header)}",
            received=repr(column),
            do=f"set dataset.{key} to the right column",
        )


def _row_source(dataset: Dataset, root: Path, number: int, row: dict[str, str]) -> Source:
    what, do = f"{dataset.csv}, line {number}", "correct the path or take the row out"
    path = PurePosixPath(os.path.normpath(row[dataset.image_column]).replace(os.sep, "/"))
    if path.is_absolute() or ".." in path.parts or leaves(root, root / path):
        raise BonexrayError(what, expected=f"a file inside {dataset.root}", received=f"{path}, outside", do=do)
    if not (root / path).is_file():
        raise BonexrayError(what, expected="an image file", received=f"no such file: {root / path}", do=do)
    group = row[dataset.group_column] if dataset.group_column else _matched_group(dataset, str(path))
    split = _named_split(what, row[dataset.split_column]) if dataset.split_column else None
    return Source(str(path), row[dataset.label_column], group or None, split)


def _named_split(what: str, name: str) -> str | None:
    if name and name.lower() not in _SPLIT_NAMES:
        raise BonexrayError(what, expected="train, val or test", received=repr(name), do="correct the split's name")
    return _SPLIT_NAMES.get(name.lower())


def _matched_group(dataset: Dataset, path: str) -> str | None:
    if dataset.group_pattern is None:
        return None
    found = re.search(dataset.group_pattern, path)
    return found.group(1) if found else None


def _require_classes(dataset: Dataset, labels: set[str]) -> None:
    if not labels:
        raise BonexrayError(
            dataset.root,
            expected="a folder a class with images in it",
            received="no image",
            do="put the images into <root>/<class>/, or name a CSV in dataset.csv",
        )
    if len(labels) < 2:
        raise BonexrayError(
            dataset.root,
            expected="at least two classes",
            received=f"only {min(labels)!r}",
            do="a folder a class is expected, or a CSV with the right dataset.label_column",
        )
    for label in sorted(labels):
        if fault := name_fault(label):
            raise BonexrayError(
                f"class '{escaped(label)}'", expected="a name that can be printed", received=fault, do="rename it"
            )
    if dataset.classes is not None and labels != set(dataset.classes):
        raise BonexrayError(
            "dataset.classes",
            expected=f"exactly the labels of the data: {', '.join(sorted(labels))}",
            received=", ".join(dataset.classes),
            do="correct dataset.classes, or set it to null",
        )
