"""Build the manifest: give every usable image a group and a split, and keep groups whole."""

from collections.abc import Sequence
from itertools import product

import numpy as np
import pandas as pd

from bonexray.base.errors import BonexrayError
from bonexray.data.folds import splits_of_folds
from bonexray.data.manifest import COLUMNS, SPLITS, image_id
from bonexray.split.audit import AuditedImage
from bonexray.split.given_split import require_no_split_emptied
from bonexray.split.grouping import apply_crossing_policy, group_names
from bonexray.split.settings import Audit, Split
from bonexray.split.stratification import assign_groups, require_enough_groups


def build_manifest(
    usable: list[AuditedImage], groups: np.ndarray, classes: list[str], settings: Split, audit: Audit
) -> pd.DataFrame:
    """Build the manifest.

    Splits of the dataset are kept, except for groups that cross them; a missing split is taken from its training
    images. If it has no splits, whole groups are assigned by `settings.ratios`. With `settings.folds`, each group gets
    a fold, and the splits are those of the first training, which tests fold 1.

    Args:
        usable: images that can be used.
        groups: int (images,), equal for images that belong together.
        classes: the class map.
        settings: ratios or folds, subset or maximum number of images, and seed.
        audit: the policy for groups that cross the splits of the dataset.

    Returns:
        One row for each image, sorted by path, with the columns id, path, label, group, split, fold ("" without folds),
        sha256 and remarks (what was malformed in the file; "" for most). Images outside the subset are left out.

    Raises:
        BonexrayError: a class has too few groups for the splits, a split of the dataset loses all its images and was not
            to be drawn anew, or folds are set for a dataset that has splits.
    """
    rows = pd.DataFrame(
        {
            "id": [image_id(item.source.path) for item in usable],
            "path": [item.source.path for item in usable],
            "label": [item.source.label for item in usable],
            "group": group_names(usable, groups),
            "split": [item.source.split for item in usable],
            "sha256": [item.sha256 for item in usable],
            "remarks": ["; ".join(item.remarks) for item in usable],
        },
        dtype=object,
    )
    given = rows["split"]
    rows = apply_crossing_policy(rows, audit.crossing)
    require_no_split_emptied(given, rows["split"], audit.crossing)
    counts = pd.crosstab(rows["unit"], rows["label"]).reindex(columns=classes, fill_value=0)
    require_enough_groups(classes, counts.to_numpy(), settings.folds or len(SPLITS))
    original = rows.groupby("unit")["split"].agg(_one_split).reindex(counts.index)
    parts = _folds(original, counts, settings) if settings.folds else _fill_splits(original, counts, settings)
    parts = _take_subset(parts, counts, settings)
    rows["split"] = rows["unit"].map(parts)
    rows = rows[rows["split"].notna()].reset_index(drop=True)
    rows["fold"] = ""
    if settings.folds:
        rows["fold"] = rows["split"]
        rows["split"] = splits_of_folds(rows["fold"].astype(int), settings.folds, tested=1)
    _require_complete(rows, classes)
    if audit.crossing != "trust":
        require_disjoint(rows)
    return rows[COLUMNS]


def require_disjoint(rows: pd.DataFrame) -> None:
    """Refuse a manifest that has a group, or the bytes of an image, in two splits or folds."""
    for key, part in product(("group", "sha256"), ("split", "fold")):
        splits = rows.groupby(key)[part].nunique()
        if (splits > 1).any():
            raise BonexrayError(
                "data/split/manifest.csv",
                expected=f"each {key} in one {part} only",
                received=f"{splits.idxmax()!r} in {splits.max()}",
                do="run `dvc repro --force split`",
            )


def count_regrouped(usable: list[AuditedImage], rows: pd.DataFrame) -> int:
    """Return the number of images moved from the dataset's own split because their group was in several."""
    original = {item.source.path: item.source.split for item in usable}
    return sum(
        original[path] is not None and original[path] != split
        for path, split in zip(rows["path"], rows["split"], strict=True)
    )


def _one_split(original: pd.Series) -> str | None:
    names = set(original.dropna())
    return names.pop() if len(names) == 1 else ("train" if names else None)


def _require_complete(rows: pd.DataFrame, classes: list[str]) -> None:
    """Refuse splits of the dataset if one of them is empty, or if a class is missing from training."""
    missing = [name for name in SPLITS if not (rows["split"] == name).any()]
    unseen = sorted(set(classes) - set(rows.loc[rows["split"] == "train", "label"]))
    if missing or unseen:
        raise BonexrayError(
            "the dataset's own split",
            expected="images in train, val and test, and every class in train",
            received=f"none in {', '.join(missing)}" if missing else f"no {', '.join(unseen)} in train",
            do="correct the split, or set dataset.split_column to null for an automatic split",
        )


def _fill_splits(original: pd.Series, counts: pd.DataFrame, settings: Split) -> pd.Series:
    """Return the split of every unit."""
    missing = [name for name in SPLITS if name not in set(original)]
    if not missing:
        return original.fillna("train")
    names = SPLITS if original.isna().all() else ("train", *[name for name in missing if name != "train"])
    pool = original.isna() | (original == "train")
    shares = np.array([getattr(settings.ratios, name) for name in names])
    part = _assign(counts[pool], shares / shares.sum(), settings.seed)
    splits = original.copy()
    splits[pool] = [names[number] for number in part]
    return splits


def _folds(original: pd.Series, counts: pd.DataFrame, settings: Split) -> pd.Series:
    """Return the fold of every unit as text, from "1"."""
    if original.notna().any():
        raise BonexrayError(
            "split.folds",
            expected="a dataset without splits of its own",
            received=f"{settings.folds} folds",
            do="set split.folds to null, or dataset.split_column if the splits come from a column",
        )
    part = _assign(counts, [1 / settings.folds] * settings.folds, settings.seed)
    return pd.Series([str(number + 1) for number in part], index=counts.index, dtype=object)


def _take_subset(parts: pd.Series, counts: pd.DataFrame, settings: Split) -> pd.Series:
    share = min(settings.subset, (settings.max_images or np.inf) / counts.to_numpy().sum())
    if share == 1:
        return parts
    subset = parts.copy()
    for name in sorted(set(parts)):
        units = parts == name
        side = _assign(counts[units], [share, 1 - share], settings.seed, complete=[0])
        subset[parts.index[units][side == 1]] = None
    return subset


def _assign(
    counts: pd.DataFrame, ratios: Sequence[float], seed: int, complete: Sequence[int] | None = None
) -> np.ndarray:
    present = counts.loc[:, counts.any()]  # a split of the dataset may lack a class
    try:
        return assign_groups(present.to_numpy(), list(ratios), seed, complete=complete)
    except ValueError:
        groups = (present > 0).sum()
        scarce = [name for name in groups.index if groups[name] < max(len(ratios), groups.min() + 1)]
        raise BonexrayError(
            "the splits",
            expected="a patient or unrelated image of every class in each split",
            received=f"too few of {', '.join(map(repr, scarce))}",
            do="add images, merge or leave out classes by dataset.labels, or change the split",
        ) from None
