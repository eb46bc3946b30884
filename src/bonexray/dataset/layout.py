"""Understand the folders of a dataset: which are splits, which are classes, and which are neither."""

from collections.abc import Iterator
from pathlib import Path

from bonexray.base.errors import BonexrayError
from bonexray.dataset.names import escaped, listed, tidied
from bonexray.dataset.source import Source
from bonexray.dataset.split_names import split_named
from bonexray.dataset.walk import Folder, Ignored

BESIDE = "beside the folders of the classes"
EMPTY = "without images"


def folder_sources(root: Path, top: Folder, ignored: Ignored) -> list[Source]:
    """Return the images of a dataset in one of these layouts: class/, split/class/ or class/split/.

    Args:
        root: folder of the dataset.
        top: the same folder, with all below it.
        ignored: takes what is not read.

    Raises:
        BonexrayError: the layout is ambiguous: folders of images beside the splits, two folders for one split, or a
            class named like a split.
    """
    base = _base(top)
    around = base
    while around is not top and around.parent is not None:
        around = around.parent
        _carrying(around, ignored)
    children = _carrying(base, ignored)
    splits = {folder: split_named(folder.name) for folder in children}
    if any(splits.values()):
        return list(_split_first(root, base, splits, ignored))
    if any(split_named(folder.name) for child in children for folder in child.carrying):
        return list(_class_first(children, ignored))
    return [Source(path, tidied(child.name), None, None) for child in children for path in child.paths()]


def _base(top: Folder) -> Folder:
    """Return the folder that holds the splits or classes: the root, or a lone folder in it that holds splits."""
    folder = top
    while len(folder.carrying) == 1 and split_named(folder.carrying[0].name) is None:
        folder = folder.carrying[0]
        if any(split_named(child.name) == "train" for child in folder.carrying):
            return folder
    return top


def _carrying(folder: Folder, ignored: Ignored) -> list[Folder]:
    """Return the folders that hold images; what lies beside them, or is empty, is ignored."""
    for name in folder.files if folder.carrying else ():
        ignored.add("file", BESIDE, _joined(folder, name))
    for child in folder.folders:
        if not child.images:
            ignored.add("folder", EMPTY, child.path)
    return folder.carrying


def _joined(folder: Folder, name: str) -> str:
    return "/".join([*folder.parts, name])


def _split_first(root: Path, base: Folder, splits: dict[Folder, str | None], ignored: Ignored) -> Iterator[Source]:
    """Yield the images of split/class/."""
    named = {folder: split for folder, split in splits.items() if split}
    for folder in splits.keys() - named.keys():
        _ignore_copy(root, base, folder, named, ignored)
    _require_one_each(named)
    for folder, split in named.items():
        if not folder.carrying:
            raise BonexrayError(
                escaped(folder.path),
                expected="one folder of images for each class",
                received=f"{folder.images} images without class folders",
                do="sort them into class folders, or list them in a CSV file and set dataset=csv and dataset.csv",
            )
        for child in _carrying(folder, ignored):
            _require_no_split(child)
            label = tidied(child.name)
            yield from (Source(path, label, None, split) for path in child.paths())


def _require_one_each(named: dict[Folder, str]) -> None:
    """Refuse two folders for one split, and splits without training."""
    for split in ("train", "val", "test"):
        folders = [escaped(folder.path) for folder, name in named.items() if name == split]
        if len(folders) > 1:
            raise BonexrayError(
                f"the split {split}",
                expected="one folder",
                received=listed(folders),
                do="bring them together, or name one in dataset.ignore",
            )
        if split == "train" and not folders:
            raise BonexrayError(
                listed([escaped(folder.path) for folder in named]),
                expected="a folder train beside it, since it is named like a split",
                received="none with images",
                do="add the training images, or rename the folder if it is a class",
            )


def _ignore_copy(root: Path, base: Folder, folder: Folder, named: dict[Folder, str], ignored: Ignored) -> None:
    """Ignore a folder beside the splits that is a copy of them, as in some zip files; refuse any other."""
    if _is_copy(root, base, _base(folder)):
        ignored.add("folder", "a copy of the dataset inside itself", folder.path)
        return
    raise BonexrayError(
        escaped(folder.path),
        expected=f"only splits beside {listed([escaped(split.path) for split in named])}",
        received=f"a folder of {folder.images} files that may be images",
        do="rename it train, val or test if it is a split, rename the others if they are classes, or name it in "
        "dataset.ignore",
    )


def _is_copy(root: Path, base: Folder, inner: Folder) -> bool:
    """Return whether every file of a folder is also in the base, in the same place and of the same size."""
    prefix = len(inner.path) + 1
    for path in inner.paths():
        twin = root / base.path / path[prefix:]
        if not twin.is_file() or twin.stat().st_size != (root / path).stat().st_size:
            return False
    return True


def _require_no_split(folder: Folder) -> None:
    if split_named(folder.name):
        raise BonexrayError(
            escaped(folder.path),
            expected="the name of a class",
            received=f"{escaped(folder.name)!r}, which is named like a split",
            do="rename the folder if it is a class, or name it in dataset.ignore",
        )


def _class_first(children: list[Folder], ignored: Ignored) -> Iterator[Source]:
    """Yield the images of class/split/, which every class must have."""
    for child in children:
        splits = {folder: split_named(folder.name) for folder in _carrying(child, ignored)}
        others = [escaped(folder.path) for folder, split in splits.items() if split is None]
        if others or not splits:
            raise BonexrayError(
                escaped(child.path),
                expected="folders for splits alone, since a class holds folders named like splits",
                received=listed(others) if others else f"{child.images} images outside of splits",
                do="use one layout for all: split/class/ or class/split/",
            )
        _require_one_each(splits)
    _require_no_datasets(children)
    for child in children:
        for folder in child.carrying:
            for path in folder.paths():
                yield Source(path, tidied(child.name), None, split_named(folder.name))


def _require_no_datasets(children: list[Folder]) -> None:
    """Refuse several datasets side by side, whose splits hold folders of the same names."""
    inner = [{folder.name for split in child.carrying for folder in split.carrying} for child in children]
    if len(children) > 1 and (shared := set.intersection(*inner)):
        raise BonexrayError(
            listed([escaped(child.path) for child in children]),
            expected="one dataset",
            received=f"splits in each, all with a folder {escaped(min(shared))!r}",
            do="set dataset.root to one of them, or name the others in dataset.ignore",
        )
