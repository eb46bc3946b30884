"""Say what became of the split that came with the data, and refuse one that is lost."""

from collections.abc import Mapping, Sequence

import pandas as pd

from bonexray.base.errors import BonexrayError
from bonexray.data.manifest import SPLITS
from bonexray.split.audit import AuditedImage

WHAT = "the split that came with the data"
Changes = Mapping[str, Mapping[str, int]]


def split_changes(images: Sequence[AuditedImage], manifest: pd.DataFrame) -> dict[str, dict[str, int]]:
    """Return, for each split of the dataset, how many of its images went where; empty if it has no split.

    Args:
        images: all images of the dataset.
        manifest: images of the study.

    Returns:
        Split to `images` and the numbers in `train`, `val`, `test`, `quarantined` and `left_out`.
    """
    now = dict(zip(manifest["path"], manifest["split"], strict=True))
    changes = {split: dict.fromkeys(("images", *SPLITS, "quarantined", "left_out"), 0) for split in SPLITS}
    for item in images:
        if item.source.split is not None:
            place = "quarantined" if item.reason is not None else now.get(item.source.path, "left_out")
            changes[item.source.split]["images"] += 1
            changes[item.source.split][place] += 1
    return changes if any(counts["images"] for counts in changes.values()) else {}


def is_changed(changes: Changes) -> bool:
    """Return whether an image is in another split than the dataset's."""
    return any(counts[other] for split, counts in changes.items() for other in SPLITS if other != split)


def split_sentence(changes: Changes, policy: str) -> str:
    """Return one line on the dataset's own split: kept, or how many images of which split went where, and why.

    Args:
        changes: as `split_changes` returns them; not empty.
        policy: `audit.crossing`.
    """
    if not is_changed(changes):
        return f"{_start(WHAT)} is kept: {_listed(changes, SPLITS)}{_lost(changes)}."
    moves = [
        f"{counts[other]} of {counts['images']} images of {split} moved to {other}, {_why(changes, split, other, policy)}"
        for split, counts in reversed(list(changes.items()))  # what became of test comes first
        for other in SPLITS
        if other != split and counts[other]
    ]
    now = ", ".join(f"{name} {sum(counts[name] for counts in changes.values())}" for name in SPLITS)
    return f"{_start(WHAT)} was changed: {'; '.join(moves)}. It is now {now}{_lost(changes)}."


def require_usable_splits(images: Sequence[AuditedImage]) -> None:
    """Refuse a dataset whose own split has a part without a single usable image."""
    splits = {item.source.split for item in images} - {None}
    for split in sorted(splits - {item.source.split for item in images if item.reason is None}):
        number = sum(item.source.split == split for item in images)
        raise BonexrayError(
            WHAT,
            expected=f"usable images in {split}",
            received=f"{number}, all quarantined",
            do="see data/split/quarantine.csv for the reasons",
        )


def require_no_split_emptied(before: pd.Series, after: pd.Series, policy: str) -> None:
    """Refuse a policy that takes all images out of a split of the dataset, unless it is `redraw`.

    Args:
        before: split of each usable image in the dataset, None without one.
        after: split of each image that remains, once the policy is applied.
        policy: `audit.crossing`.
    """
    for split in SPLITS if policy != "redraw" else ():
        if (number := int((before == split).sum())) and not (after == split).any():
            keep = (
                ""
                if policy == "drop"
                else "set audit.crossing=drop to keep test, or else val, and leave out the rest; "
            )
            raise BonexrayError(
                WHAT,
                expected=f"images left in {split} under audit.crossing={policy}",
                received=f"none: all {number} are copies, or of patients, of another split",
                do=f"{keep}set audit.crossing=redraw to draw a new {split} from train, or correct the split",
            )


def _why(changes: Changes, split: str, other: str, policy: str) -> str:
    if split == "train":
        lost = changes[other]["images"]
        return f"since all {lost} of {other} had moved" if lost else f"since the data had no {other}"
    return f"since copies of them, or their patients, are in another split (audit.crossing={policy})"


def _listed(changes: Changes, names: Sequence[str]) -> str:
    return ", ".join(f"{name} {changes[name][name]}" for name in names)


def _lost(changes: Changes) -> str:
    lost = {
        "quarantined": sum(counts["quarantined"] for counts in changes.values()),
        "left out by audit.crossing or a subset": sum(counts["left_out"] for counts in changes.values()),
    }
    words = [f"{number} {what}" for what, number in lost.items() if number]
    return f" ({', '.join(words)})" if words else ""


def _start(text: str) -> str:
    return text[0].upper() + text[1:]
