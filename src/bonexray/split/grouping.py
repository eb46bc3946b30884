"""Which images belong together, so that they stand in one split: named groups, patients, equal pixels, copies."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from bonexray.compute import Compute
from bonexray.errors import BonexrayError
from bonexray.split.audit import Examined
from bonexray.split.lookalikes import Pair, lookalikes
from bonexray.split.settings import Audit

LATEST = ("test", "val", "train")  # of a crossing group, what stands in the first of these is kept


def find_copies(usable: list[Examined], settings: Audit, compute: Compute) -> list[Pair]:
    """Pairs of images, by place, that are one picture in other pixels."""
    first = {item.pixels_sha256: place for place, item in reversed(list(enumerate(usable)))}
    places = sorted(first.values())  # one of each that are equal
    thumbnails = np.stack([usable[place].thumbnail for place in places]) if places else np.empty((0, 0, 0), np.uint8)
    found = lookalikes(thumbnails, settings, compute)
    return [Pair(places[pair.one], places[pair.other], pair.likeness) for pair in found]


def groups_of(usable: Sequence[Examined], pairs: Sequence[Pair] = ()) -> np.ndarray:
    """Number the groups.

    Args:
        usable: the images.
        pairs: those of them that are copies of one another, by place.

    Returns:
        int (images,): equal numbers are one group, also where several kinds of link make a chain.
    """
    alone = [f"path:{item.source.path}" for item in usable]
    links = (
        [item.source.group or own for item, own in zip(usable, alone, strict=True)],
        [item.patient or own for item, own in zip(usable, alone, strict=True)],
        [item.pixels_sha256 or own for item, own in zip(usable, alone, strict=True)],
    )
    nodes, starts, ends = len(usable), [pair.one for pair in pairs], [pair.other for pair in pairs]
    for names in links:
        _, codes = np.unique(names, return_inverse=True)
        starts += range(len(usable))
        ends += list(nodes + codes)
        nodes += codes.max() + 1
    edges = coo_array((np.ones(len(ends)), (starts, ends)), shape=(nodes, nodes))
    return connected_components(edges, directed=False)[1][: len(usable)]


def group_names(usable: Sequence[Examined], groups: np.ndarray) -> list[str]:
    """A group is called after the group that the dataset gives its first image, or that image's path."""
    names: dict[int, str] = {}
    return [
        names.setdefault(number, item.source.group or item.source.path)
        for number, item in zip(groups, usable, strict=True)
    ]


def crossing_images(usable: Sequence[Examined], groups: np.ndarray) -> int:
    """How many images are of groups that stand in several of the splits that came with the dataset."""
    return int(crossing(pd.DataFrame({"group": groups, "split": [item.source.split for item in usable]})).sum())


def crossing(rows: pd.DataFrame) -> pd.Series:
    """Whether each image's group stands in several of the splits that came with the dataset; bool by row."""
    return rows.groupby("group")["split"].transform("nunique") > 1


def without_crossing(rows: pd.DataFrame, policy: str) -> pd.DataFrame:
    """Apply the policy for groups that cross the splits that came with the dataset.

    Args:
        rows: path, group and given split, None where there is none.
        policy: `regroup` sends a crossing group to training; `drop` keeps what of it stands in test, else in validation,
            and leaves out the rest, so that a published test set stays whole; `refuse` stops; `trust` keeps the
            splits.

    Returns:
        The rows that are left, with `split` as it is now and `unit`, what is assigned to a split as a whole.

    Raises:
        BonexrayError: a group crosses, and the policy is to refuse.
    """
    crosses, rows = crossing(rows), rows.assign(unit=rows["group"])
    if policy == "refuse" and crosses.any():
        paths = rows.loc[crosses & (rows["group"] == rows.loc[crosses, "group"].iloc[0]), "path"]
        raise BonexrayError(
            "the dataset's own split",
            expected="each patient, source and picture on one side of it",
            received=f"{crosses.sum()} images of {rows.loc[crosses, 'group'].nunique()} groups on several: "
            f"{paths.iloc[0]} and {paths.iloc[-1]} belong together",
            do="see reports/audit.md, or set audit.crossing to regroup, drop or trust",
        )
    if policy == "drop":
        rank = rows["split"].map({name: place for place, name in enumerate(LATEST)}).fillna(len(LATEST))
        return rows[~crosses | (rank == rank.groupby(rows["group"]).transform("min"))].reset_index(drop=True)
    if policy == "trust":
        rows.loc[crosses, "unit"] = rows["group"] + " in " + rows["split"].fillna("none")
    else:
        rows.loc[crosses, "split"] = "train"
    return rows
