"""Group images that must be in one split: named groups, patients, equal pixels and copies."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from bonexray.base.errors import BonexrayError
from bonexray.compute import Compute
from bonexray.split.audit import AuditedImage
from bonexray.split.lookalikes import Pair, find_lookalikes
from bonexray.split.settings import Audit

LATEST = ("test", "val", "train")  # order in which the policy `drop` keeps a split of a crossing group


def find_copies(images: Sequence[AuditedImage], settings: Audit, compute: Compute) -> list[Pair]:
    """Return the pairs of readable images, by row of `images`, that show the same radiograph in different pixels."""
    readable = [(row, item.pixels_sha256) for row, item in enumerate(images) if item.reason is None]
    rows = sorted({pixels: row for row, pixels in reversed(readable)}.values())  # one for each set of equal pixels
    thumbnails = np.stack([images[row].thumbnail for row in rows]) if rows else np.empty((0, 0, 0), np.uint8)
    pairs = find_lookalikes(thumbnails, settings, compute)
    return [Pair(rows[pair.one], rows[pair.other], pair.likeness) for pair in pairs]


def groups_of(usable: Sequence[AuditedImage], pairs: Sequence[Pair] = ()) -> np.ndarray:
    """Return the number of the group of each image.

    Args:
        usable: images that can be used.
        pairs: copies among them, by row.

    Returns:
        int (images,), equal within a group. Links of different kinds chain images into one group.
    """
    default = [f"path:{item.source.path}" for item in usable]
    links = (
        [item.source.group or path for item, path in zip(usable, default, strict=True)],
        [item.patient or path for item, path in zip(usable, default, strict=True)],
        [item.pixels_sha256 or path for item, path in zip(usable, default, strict=True)],
    )
    return connected(links, pairs)


def connected(links: Sequence[Sequence[str]], pairs: Sequence[Pair]) -> np.ndarray:
    """Return the number of the component of each image.

    Args:
        links: for each kind of link, one name for each image; images of one name are linked.
        pairs: rows of further links.

    Returns:
        int (images,), equal for images that are linked directly or through others.
    """
    images = nodes = len(links[0])
    starts, ends = [pair.one for pair in pairs], [pair.other for pair in pairs]
    for names in links:
        _, codes = np.unique(names, return_inverse=True)
        starts += range(images)
        ends += list(nodes + codes)
        nodes += codes.max(initial=-1) + 1
    edges = coo_array((np.ones(len(ends)), (starts, ends)), shape=(nodes, nodes))
    return connected_components(edges, directed=False)[1][:images]


def group_names(usable: Sequence[AuditedImage], groups: np.ndarray) -> list[str]:
    """Return the group name of each image: the dataset's group of the first image in the group, or its path."""
    names: dict[int, str] = {}
    return [
        names.setdefault(number, item.source.group or item.source.path)
        for number, item in zip(groups, usable, strict=True)
    ]


def count_crossing(usable: Sequence[AuditedImage], groups: np.ndarray) -> int:
    """Return the number of images whose group crosses the splits of the dataset."""
    return int(crosses_splits(pd.DataFrame({"group": groups, "split": [item.source.split for item in usable]})).sum())


def crosses_splits(rows: pd.DataFrame) -> pd.Series:
    """Return bool by row: True if the group of the image is in several splits of the dataset."""
    return rows.groupby("group")["split"].transform("nunique") > 1


def apply_crossing_policy(rows: pd.DataFrame, policy: str) -> pd.DataFrame:
    """Apply the policy for groups that cross the splits of the dataset.

    Args:
        rows: path, group and split of the dataset (None without one).
        policy: `regroup` and `redraw` move a crossing group to training; `drop` keeps its images in test, or else in validation,
            and drops its other images, so that a published test set stays whole; `refuse` raises an error; `trust`
            keeps the splits.

    Returns:
        The remaining rows, with the new `split`, and `unit`: rows of one unit get the same split.

    Raises:
        BonexrayError: a group crosses the splits, and the policy is `refuse`.
    """
    crosses, rows = crosses_splits(rows), rows.assign(unit=rows["group"])
    if policy == "refuse" and crosses.any():
        paths = rows.loc[crosses & (rows["group"] == rows.loc[crosses, "group"].iloc[0]), "path"]
        raise BonexrayError(
            "the dataset's own split",
            expected="each patient, source and image in one split",
            received=f"{crosses.sum()} images of {rows.loc[crosses, 'group'].nunique()} groups in several: "
            f"{paths.iloc[0]} and {paths.iloc[-1]} belong together",
            do="see reports/audit.md, or set audit.crossing to regroup, drop or trust",
        )
    if policy == "drop":
        rank = rows["split"].map({name: number for number, name in enumerate(LATEST)}).fillna(len(LATEST))
        return rows[~crosses | (rank == rank.groupby(rows["group"]).transform("min"))].reset_index(drop=True)
    if policy == "trust":
        rows.loc[crosses, "unit"] = rows["group"] + " in " + rows["split"].fillna("none")
    else:
        rows.loc[crosses, "split"] = "train"
    return rows
