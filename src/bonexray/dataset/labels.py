"""Bring labels together that are spelled differently, apply `dataset.labels`, and refuse impossible classes."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace

from bonexray.base.errors import BonexrayError
from bonexray.dataset.names import escaped, listed, name_problem, natural_key, spelling_key
from bonexray.dataset.settings import Dataset
from bonexray.dataset.source import Source
from bonexray.dataset.split_names import split_named


def with_one_spelling(dataset: Dataset, sources: Sequence[Source], notes: list[str]) -> list[Source]:
    """Give labels that differ in case, spaces or Unicode form only one spelling: that of `dataset.classes`, or the most frequent.

    Args:
        dataset: with its classes, if they are set.
        sources: images with labels as written.
        notes: takes which labels were brought together.
    """
    spellings: dict[str, Counter] = defaultdict(Counter)
    for source in sources:
        spellings[spelling_key(source.label)][source.label] += 1
    chosen = {}
    for counts in spellings.values():
        known = [name for name in (*(dataset.classes or ()), *dataset.labels) if counts[name]]
        if len(counts) > 1 and len(set(known)) < 2:  # several in dataset.classes are several classes
            name = known[0] if known else min(counts, key=lambda spelling: (-counts[spelling], spelling))
            chosen |= dict.fromkeys(counts, name)
            spelled = ", ".join(f"{escaped(spelling)!r} ({count})" for spelling, count in sorted(counts.items()))
            notes.append(f"labels that differ in spelling only are one class, {escaped(name)!r}: {spelled}")
    return [replace(source, label=chosen.get(source.label, source.label)) for source in sources]


def with_merged_labels(dataset: Dataset, sources: Sequence[Source], notes: list[str]) -> list[Source]:
    """Rename labels by `dataset.labels`, and leave out images whose label it maps to null.

    Raises:
        BonexrayError: the map names a label that the data do not have.
    """
    found = {source.label for source in sources}
    if unknown := sorted(set(dataset.labels) - found):
        raise BonexrayError(
            "dataset.labels",
            expected=f"labels of the data: {listed(sorted(found, key=natural_key), 20)}",
            received=listed(unknown),
            do="correct dataset.labels",
        )
    left_out = Counter(source.label for source in sources if dataset.labels.get(source.label, "") is None)
    notes += [
        f"{count} images of the label {escaped(name)!r} left out by dataset.labels" for name, count in left_out.items()
    ]
    names = {name: dataset.labels.get(name, name) for name in found}
    return [replace(source, label=names[source.label]) for source in sources if names[source.label] is not None]


def require_classes(dataset: Dataset, labels: set[str]) -> None:
    """Refuse fewer than two classes, names that cannot be used, and classes other than `dataset.classes`."""
    names = sorted(labels, key=natural_key)
    if len(labels) < 2:
        raise BonexrayError(
            dataset.root,
            expected="at least two classes",
            received=f"only {escaped(names[0])!r}",
            do="correct dataset.label_column"
            if dataset.csv
            else "make one folder for each class, or set dataset.root to the folder that holds them",
        )
    for name in names:
        if problem := name_problem(name) or (None if name else "a name of spaces alone"):
            raise BonexrayError(
                f"class '{escaped(name)}'", expected="a printable name", received=problem, do="rename it"
            )
    if splits := [name for name in names if split_named(name)]:
        raise BonexrayError(
            "the classes",
            expected="no name of a split",
            received=listed(splits),
            do="set dataset.label_column to the column of the class, or rename them by dataset.labels"
            if dataset.csv
            else "rename the folders",
        )
    if dataset.classes is not None and labels != set(dataset.classes):
        raise BonexrayError(
            "dataset.classes",
            expected=f"exactly the labels of the data: {', '.join(names)}",
            received=", ".join(dataset.classes),
            do="correct dataset.classes, or set it to null; +dataset.labels={name: null} leaves a label out",
        )
