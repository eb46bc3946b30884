"""List the images of a dataset from its folders or its CSV; no pixel is read here."""

import csv
import os
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from bonexray.base.errors import BonexrayError
from bonexray.dataset.settings import Dataset

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
_SYSTEM_FILES = ("thumbs.db", "desktop.ini")  # of Windows; hidden files are skipped anyway
_DVC_CACHE = re.compile(r"/files/md5/[0-9a-f]{2}/[0-9a-f]{30}$")


@dataclass(frozen=True)
class Source:
    """An image of a dataset.

    Attributes:
        path: relative to the root of the dataset, with forward slashes.
        label: name of the class.
        group: patient or source image; None if the dataset does not name it.
        split: train, val or test; None if the dataset has no split of its own.
    """

    path: str
    label: str
    group: str | None
    split: str | None


def list_sources(dataset: Dataset) -> list[Source]:
    """Return all images of a dataset, sorted by path.

    Raises:
        BonexrayError: the root is missing, is empty, is a relative path out of the repository or has fewer than two
            classes; a column of the CSV is missing, or a file that it names is missing or outside the root; a label
            is not in `dataset.classes` or cannot be printed.
    """
    root = dataset_root(dataset)
    sources = _from_csv(dataset, root) if dataset.csv else _from_folders(dataset, root)
    _require_classes(dataset, {source.label for source in sources})
    return sorted(sources, key=lambda source: source.path)


def class_order(dataset: Dataset, sources: list[Source]) -> list[str]:
    """Return the class map; a class's index in this list is its number everywhere."""
    return list(dataset.classes or sorted({source.label for source in sources}))


def dataset_root(dataset: Dataset) -> Path:
    """Return the folder of the dataset.

    Raises:
        BonexrayError: the folder does not exist, or its relative path leads out of the repository.
    """
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


def is_outside(root: Path, path: Path) -> bool:
    """Return whether a file is outside the root once links are followed; links into DVC's cache are allowed."""
    real = Path(os.path.realpath(path))  # unlike resolve(), no error for a link to itself
    return not real.is_relative_to(root.resolve()) and not _DVC_CACHE.search(real.as_posix())


def name_problem(name: str) -> str | None:
    """Return why the name of a file or class cannot be written into a table; None if it can."""
    categories = {unicodedata.category(letter) for letter in name}
    if "Cs" in categories:  # surrogates, which Python uses for bytes that it cannot decode
        return "a name that is not UTF-8 text"
    return "a line break or another control character in its name" if "Cc" in categories else None


def escaped(name: str) -> str:
    r"""Return a printable name: undecodable bytes and control characters become escapes such as \xe9 and \n."""
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(repr(letter)[1:-1] if unicodedata.category(letter) == "Cc" else letter for letter in text)


def _from_folders(dataset: Dataset, root: Path) -> list[Source]:
    top_splits = {_SPLIT_NAMES.get(folder.name.lower()) for folder in _visible(root) if folder.is_dir()}
    presplit = "train" in top_splits and None not in top_splits
    sources = []
    for folder, _, names in os.walk(root):
        for name in names:
            path = PurePosixPath(Path(folder, name).relative_to(root).as_posix())
            if name.lower() in _SYSTEM_FILES or any(part.startswith(".") for part in path.parts):
                continue
            split = _SPLIT_NAMES[path.parts[0].lower()] if presplit and len(path.parts) > 1 else None
            classes = path.parts[1:-1] if presplit else path.parts[:-1]
            if classes:  # files beside the class folders belong to no class
                sources.append(Source(str(path), classes[0], _matched_group(dataset, str(path)), split))
    return sources


def _visible(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if not path.name.startswith(".")]


def _from_csv(dataset: Dataset, root: Path) -> list[Source]:
    with _existing_csv(dataset).open(newline="", encoding="utf-8-sig") as stream:
        reader = csv.DictReader(stream, restval="")  # missing values of a short row are empty
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
    what, do = f"{dataset.csv}, line {number}", "correct the path or remove the row"
    path = PurePosixPath(os.path.normpath(row[dataset.image_column]).replace(os.sep, "/"))
    if path.is_absolute() or ".." in path.parts or is_outside(root, root / path):
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
    match = re.search(dataset.group_pattern, path)
    return match.group(1) if match else None


def _require_classes(dataset: Dataset, labels: set[str]) -> None:
    if not labels:
        raise BonexrayError(
            dataset.root,
            expected="one folder of images for each class",
            received="no image",
            do="put the images into <root>/<class>/, or set dataset.csv",
        )
    if len(labels) < 2:
        raise BonexrayError(
            dataset.root,
            expected="at least two classes",
            received=f"only {min(labels)!r}",
            do="make one folder for each class, or correct dataset.label_column",
        )
    for label in sorted(labels):
        if problem := name_problem(label):
            raise BonexrayError(
                f"class '{escaped(label)}'", expected="a printable name", received=problem, do="rename it"
            )
    if dataset.classes is not None and labels != set(dataset.classes):
        raise BonexrayError(
            "dataset.classes",
            expected=f"exactly the labels of the data: {', '.join(sorted(labels))}",
            received=", ".join(dataset.classes),
            do="correct dataset.classes, or set it to null",
        )
