"""Count an image once that several rows of a table list, as where each reader or finding has a row."""

from collections import defaultdict

from bonexray.base.errors import BonexrayError
from bonexray.dataset.names import listed
from bonexray.dataset.source import Source


def count_once(name: str, sources: list[Source], lines: dict[str, list[int]], notes: list[str]) -> list[Source]:
    """Return each image once for each of its labels.

    Args:
        name: of the table.
        sources: one for each row.
        lines: path to the lines of its rows.
        notes: takes what was found.

    Raises:
        BonexrayError: rows of one image disagree on the patient or the split.
    """
    merged: dict[tuple[str, str], Source] = {}
    groups, splits, labels = defaultdict(set), defaultdict(set), defaultdict(set)
    for source in sources:
        groups[source.path].add(source.group)
        splits[source.path].add(source.split)
        labels[source.path].add(source.label)
    for path in dict.fromkeys(source.path for source in sources):
        for kind, values in (("patient", groups[path] - {None}), ("split", splits[path] - {None})):
            if len(values) > 1:
                raise BonexrayError(
                    f"{name}, lines {', '.join(map(str, lines[path]))}",
                    expected=f"one {kind} for the image {path}",
                    received=listed(sorted(values)),
                    do="correct the rows",
                )
    for source in sources:
        group = next(iter(groups[source.path] - {None}), None)
        split = next(iter(splits[source.path] - {None}), None)
        merged.setdefault((source.path, source.label), Source(source.path, source.label, group, split))
    if repeated := len(sources) - len(merged):
        notes.append(f"{repeated} rows repeat an image and its label, and count once")
    if unclear := [path for path, names in labels.items() if len(names) > 1]:
        rows = "; ".join(f"{path} (lines {', '.join(map(str, lines[path]))})" for path in unclear[:3])
        notes.append(f"{len(unclear)} images have rows with different labels, and will be quarantined: {rows}")
    return list(merged.values())
