"""Name the patient of each image by a pattern or a column, and refuse one that says nothing."""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace

from bonexray.base.errors import BonexrayError
from bonexray.dataset.names import escaped, listed, tidied
from bonexray.dataset.settings import Dataset
from bonexray.dataset.source import Source

MOSTLY = 0.9  # share of the images with a patient from which a single patient makes no sense


def with_groups(dataset: Dataset, sources: Sequence[Source], notes: list[str]) -> list[Source]:
    """Return the images with the patients that `dataset.group_column` or `dataset.group_pattern` gives.

    Args:
        dataset: with the pattern, the column, or neither.
        sources: images, with the cell of the column if there is one.
        notes: takes how many images have a patient, how many patients there are, and the largest.

    Raises:
        BonexrayError: no image has a patient, all have the same, or each class has a single one.
    """
    key = _key(dataset)
    if key is None:
        return [replace(source, group=None) for source in sources]
    if key == "group_pattern":
        pattern = re.compile(str(dataset.group_pattern))
        sources = [replace(source, group=_matched(pattern, source.path)) for source in sources]
    _require_sense(f"dataset.{key}", getattr(dataset, key), sources)
    sizes = Counter(source.group for source in sources if source.group)
    notes.append(
        f"dataset.{key} names {len(sizes)} groups for {sizes.total()} of {len(sources)} images; "
        f"the largest has {max(sizes.values())}"
    )
    return list(sources)


def _key(dataset: Dataset) -> str | None:
    """Return the setting that names patients: that of `dataset.patients`, or else the column before the pattern."""
    keys = [key for key in ("group_column", "group_pattern") if getattr(dataset, key)]
    chosen = {"column": "group_column", "pattern": "group_pattern"}
    return chosen.get(dataset.patients or "") if dataset.patients else next(iter(keys), None)


def _matched(pattern: re.Pattern, path: str) -> str | None:
    match = pattern.search(path)
    return tidied(match.group(1) or "") or None if match else None


def _require_sense(what: str, value: str, sources: Sequence[Source]) -> None:
    """Refuse groups that say nothing on patients."""
    by_label: dict[str, set[str]] = defaultdict(set)
    for source in sources:
        if source.group:
            by_label[source.label].add(source.group)
    groups = set().union(*by_label.values())
    covered = sum(bool(source.group) for source in sources) >= MOSTLY * len(sources)
    received = None
    if not groups:
        received = f"none in {len(sources)} images, such as {listed([source.path for source in sources[:1]])}"
    elif covered and len(groups) == 1:
        received = f"one, {escaped(min(groups))!r}, for {len(sources)} images"
    elif covered and all(len(names) == 1 for names in by_label.values()) and len(sources) > len(groups):
        received = f"one for each class: {listed(sorted(groups))}"
    if received:
        raise BonexrayError(
            what,
            expected=f"the patient of each image by {value!r}",
            received=received,
            do=f"correct {what}, or set it to null",
        )
