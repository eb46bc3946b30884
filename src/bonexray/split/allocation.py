"""Every usable image gets its group and its split, whole groups only."""

from itertools import product

import numpy as np
import pandas as pd

from bonexray.data.folds import splits_of_folds
from bonexray.data.manifest import COLUMNS, SPLITS, image_id
from bonexray.errors import BonexrayError
from bonexray.split.audit import Examined
from bonexray.split.group_counts import assign_groups, require_enough_groups
from bonexray.split.grouping import group_names, without_crossing
from bonexray.split.settings import Audit, Split


def build_manifest(
    usable: list[Examined], groups: np.ndarray, classes: list[str], settings: Split, audit: Audit
) -> pd.DataFrame:
    """Give every usable image its group and its split.

    A split that the dataset brings is kept but for groups on both sides of it, and one that it does not have is taken
    out of training. Otherwise whole groups are distributed by `settings.ratios`. With `settings.folds` each group gets
    a fold, and the splits are those of the first training, which tests fold 1.

    Args:
        usable: the images.
        groups: int (images,), which belong together.
        classes: the class map.
        settings: ratios or folds, subset or most images, and seed.
        audit: what is done about groups on both sides.

    Returns:
        One row an image, by path, with the columns id, path, label, group, split, fold ("" without
        folds), sha256. With a subset, the images outside it are not in it.

    Raises:
        BonexrayError: a class has too few groups for the splits, or folds are asked for where the dataset brings splits.
    """
    rows = pd.DataFrame(
        {
            "id": [image_id(item.source.path) for item in usable],
            "path": [item.source.path for item in usable],
            "label": [item.source.label for item in usable],
            "group": group_names(usable, groups),
            "split": [item.source.split for item in usable],
            "sha256": [item.sha256 for item in usable],
        },
        dtype=object,
    )
    rows = without_crossing(rows, audit.crossing)
    counts = pd.crosstab(rows["unit"], rows["label"]).reindex(columns=classes, fill_value=0)
    require_enough_groups(classes, counts.to_numpy(), settings.folds or len(SPLITS))
    given = rows.groupby("unit")["split"].agg(_one_split).reindex(counts.index)
    chosen = _folds(given, counts, settings) if settings.folds else _fill_splits(given, counts, settings)
    chosen = _take_subset(chosen, counts, settings)
    rows["split"] = rows["unit"].map(chosen)
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
    """Refuse a manifest in which a group or an image's bytes stand in two splits or folds."""
    for key, part in product(("group", "sha256"), ("split", "fold")):
        splits = rows.groupby(key)[part].nunique()
        if (splits > 1).any():
            raise BonexrayError(
                "data/split/manifest.csv",
                expected=f"each {key} in one {part} only",
                received=f"{splits.idxmax()!r} in {splits.max()}",
                do="run `dvc repro --force split`",
            )


def regrouped(usable: list[Examined], rows: pd.DataFrame) -> int:
    """How many images were moved from the split they came with, because their group stood in several."""
    given = {item.source.path: item.source.split for item in usable}
    return sum(
        given[path] is not None and given[path] != split
        for path, split in zip(rows["path"], rows["split"], strict=True)
    )


def _one_split(given: pd.Series) -> str | None:
    names = set(given.dropna())
    return names.pop() if len(names) == 1 else ("train" if names else None)


def _require_complete(rows: pd.DataFrame, classes: list[str]) -> None:
    """A split that came with the dataset may lack what no model can do without."""
    missing = [name for name in SPLITS if not (rows["split"] == name).any()]
    unseen = sorted(set(classes) - set(rows.loc[rows["split"] == "train", "label"]))
    if missing or unseen:
        raise BonexrayError(
            "the dataset's own split",
            expected="images in train, val and test, and every class in train",
            received=f"none in {', '.join(missing)}" if missing else f"no {', '.join(unseen)} in train",
            do="correct the split, or set dataset.split_column to null to have one made",
        )


def _fill_splits(given: pd.Series, counts: pd.DataFrame, settings: Split) -> pd.Series:
    missing = [name for name in SPLITS if name not in set(given)]
    if not missing:
        return given.fillna("train")
    parts = SPLITS if given.isna().all() else ("train", *[name for name in missing if name != "train"])
    pool = given.isna() | (given == "train")
    shares = np.array([getattr(settings.ratios, name) for name in parts])
    part = _assigned(counts[pool], shares / shares.sum(), settings.seed)
    given = given.copy()
    given[pool] = [parts[number] for number in part]
    return given


def _folds(given: pd.Series, counts: pd.DataFrame, settings: Split) -> pd.Series:
    """The fold of every unit, as text from "1"."""
    if given.notna().any():
        raise BonexrayError(
            "split.folds",
            expected="a dataset without splits of its own",
            received=f"{settings.folds} folds",
            do="set split.folds to null, or dataset.split_column where the splits come from a column",
        )
    part = _assigned(counts, [1 / settings.folds] * settings.folds, settings.seed)
    return pd.Series([str(number + 1) for number in part], index=counts.index, dtype=object)


def _take_subset(chosen: pd.Series, counts: pd.DataFrame, settings: Split) -> pd.Series:
    share = min(settings.subset, (settings.max_images or np.inf) / counts.to_numpy().sum())
    if share == 1:
        return chosen
    taken = chosen.copy()
    for split in sorted(set(chosen)):
        rows = chosen == split
        part = _assigned(counts[rows], [share, 1 - share], settings.seed, complete=[0])
        taken[chosen.index[rows][part == 1]] = None
    return taken


def _assigned(counts: pd.DataFrame, ratios, seed: int, complete=None) -> np.ndarray:
    present = counts.loc[:, counts.any()]  # a split that came with the dataset may lack a class
    try:
        return assign_groups(present.to_numpy(), list(ratios), seed, complete=complete)
    except ValueError:
        scarce = (present > 0).sum().idxmin()
        raise BonexrayError(
            "the splits",
            expected="a patient or unrelated image of every class for each",
            received=f"too few of {scarce!r}",
            do="add images of this class, or have another split made",
        ) from None
