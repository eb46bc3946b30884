"""List the images of a dataset from its folders or its CSV; no pixel is read here."""

import os
from collections import Counter
from pathlib import Path

from bonexray.base.errors import BonexrayError
from bonexray.dataset.labels import require_classes, with_merged_labels, with_one_spelling
from bonexray.dataset.layout import folder_sources
from bonexray.dataset.names import escaped, natural_key
from bonexray.dataset.patients import with_groups
from bonexray.dataset.repeats import count_once
from bonexray.dataset.rows import table_sources
from bonexray.dataset.settings import Dataset
from bonexray.dataset.source import Listing, Source
from bonexray.dataset.walk import Ignored, walk

_SPLITS = ("train", "val", "test")


def list_sources(dataset: Dataset) -> list[Source]:
    """Return all images of a dataset, sorted by path; see `read_listing`."""
    return read_listing(dataset).sources


def read_listing(dataset: Dataset) -> Listing:
    """Return all images of a dataset, and what was ignored or brought together.

    Labels are text in one Unicode form, without spaces at their ends.

    Raises:
        BonexrayError: the root is missing, is empty, is a relative path out of the repository or has fewer than two
            classes; the layout is ambiguous; a column of the CSV is missing, or a file that it names is missing or
            outside the root; a label is not in `dataset.classes` or cannot be printed; the patients' column or pattern
            names none.
    """
    root = dataset_root(dataset)
    if dataset.csv:
        rows = table_sources(dataset, root)
        sources, notes = rows.sources, rows.notes
    else:
        ignored = Ignored()
        top = walk(
            root, [*dataset.ignore, *_boxes_below(root, dataset.boxes)], ignored, follow=dataset.links == "follow"
        )
        sources = folder_sources(root, top, ignored)
        notes = ignored.notes()
    if not sources:
        loose = 0 if dataset.csv else len(top.files)
        raise BonexrayError(
            dataset.csv or dataset.root,
            expected="a row with a label for each image" if dataset.csv else "one folder of images for each class",
            received=f"no image; {loose} files in it, but no folder of images" if loose else "no image",
            do="correct the columns" if dataset.csv else "put the images into <root>/<class>/, or set dataset.csv",
        )
    sources = with_one_spelling(dataset, sources, notes)
    sources = with_merged_labels(dataset, sources, notes)
    if dataset.csv:
        sources = count_once(str(dataset.csv), sources, rows.lines, notes)
    require_classes(dataset, {source.label for source in sources})
    sources = with_groups(dataset, sources, notes)
    return Listing(sorted(sources, key=lambda source: source.path), notes)


def class_order(dataset: Dataset, sources: list[Source]) -> list[str]:
    """Return the class map; a class's index in this list is its number everywhere."""
    return list(dataset.classes or sorted({source.label for source in sources}, key=natural_key))


def tree_lines(dataset: Dataset, listing: Listing, classes: list[str]) -> list[str]:
    """Return how a dataset was understood: its splits and classes with their numbers of images, and the notes.

    Args:
        dataset: its settings.
        listing: its images.
        classes: the class map.
    """
    splits = [name for name in _SPLITS if any(source.split == name for source in listing.sources)]
    images = len({source.path for source in listing.sources})
    own = f"its own split into {', '.join(splits)}" if splits else "no split of its own"
    lines = [f"{dataset.csv or dataset.root}: {images} images, {len(classes)} classes, {own}"]
    counts = Counter((source.split, source.label) for source in listing.sources)
    for split in [*splits, None]:
        title = split or ("without a split" if splits else "classes")
        held = ", ".join(f"{name} {counts[split, name]}" for name in classes if counts[split, name])
        lines += [f"  {title}: {held}"] if held else []
    return [escaped(line) for line in [*lines, *(f"  {note}" for note in listing.notes)]]


def _boxes_below(root: Path, boxes: str | None) -> list[str]:
    """Return the path of the boxes relative to the root, so that no mask is taken for an image; empty if elsewhere."""
    path = Path(boxes).absolute() if boxes else root
    return [path.relative_to(root.absolute()).as_posix()] if boxes and path.is_relative_to(root.absolute()) else []


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
