"""The manifest: every image of the study once, with its label, group and split."""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd

from bonexray.config import Split
from bonexray.data.audit import Examined, groups_of
from bonexray.data.sources import SPLITS
from bonexray.data.splits import assign_groups, require_enough_groups
from bonexray.errors import BonexrayError
from bonexray.outputs import read_json, whole_file, write_json

MANIFEST = Path("data/split/manifest.csv")
CLASSES = Path("data/split/classes.json")
COLUMNS = ["id", "path", "label", "group", "split", "sha256"]


def build_manifest(examined: list[Examined], classes: list[str], settings: Split) -> pd.DataFrame:
    """Give every usable image its group and its split.

    A split that the dataset brings is kept, but a group on both sides of it goes whole to training, and a split
    it does not have is taken out of training. Otherwise whole groups are distributed by `settings.ratios`.

    Args:
        examined: the images and what was found in them; those with a reason are left out.
        classes: the class map.
        settings: ratios, subset or most images, and seed.

    Returns:
        One row an image, by path, with the columns id, path, label, group, split, sha256. With a subset, the
        images outside it are not in it.

    Raises:
        BonexrayError: a class has too few groups for the splits.
    """
    usable = [item for item in examined if item.reason is None]
    rows = pd.DataFrame(
        {
            "id": [image_id(item.source.path) for item in usable],
            "path": [item.source.path for item in usable],
            "label": [item.source.label for item in usable],
            "group": _group_names(usable),
            "split": [item.source.split for item in usable],
            "sha256": [item.sha256 for item in usable],
        },
        dtype=object,
    )
    counts = pd.crosstab(rows["group"], rows["label"]).reindex(columns=classes, fill_value=0)
    require_enough_groups(classes, counts.to_numpy(), len(SPLITS))
    given = rows.groupby("group")["split"].agg(_one_split)
    chosen = _fill_splits(given.reindex(counts.index), counts, settings)
    chosen = _take_subset(chosen, counts, settings)
    rows["split"] = rows["group"].map(chosen)
    rows = rows[rows["split"].notna()].reset_index(drop=True)
    _require_complete(rows, classes)
    require_disjoint(rows)
    return rows[COLUMNS]


def require_disjoint(rows: pd.DataFrame) -> None:
    """Refuse a manifest in which a group or an image's bytes stand in two splits."""
    for key in ("group", "sha256"):
        splits = rows.groupby(key)["split"].nunique()
        if (splits > 1).any():
            raise BonexrayError(
                "data/split/manifest.csv", expected=f"each {key} in one split only",
                received=f"{splits.idxmax()!r} in {splits.max()}", do="run `dvc repro --force split`",
            )  # fmt: skip


def regrouped(examined: list[Examined], rows: pd.DataFrame) -> int:
    """How many images were moved from the split they came with, because their group stood in several."""
    given = {item.source.path: item.source.split for item in examined}
    return sum(
        given[path] is not None and given[path] != split
        for path, split in zip(rows["path"], rows["split"], strict=True)
    )


def image_id(path: str) -> str:
    """A short name for an image that depends on its path alone, so that adding images renames none."""
    return hashlib.sha256(path.encode()).hexdigest()[:16]


def write_manifest(rows: pd.DataFrame, classes: list[str]) -> None:
    """Write the manifest and the class map."""
    with whole_file(MANIFEST) as partial:
        rows.to_csv(partial, index=False, lineterminator="\n")
    write_json(CLASSES, {"classes": classes})


def read_manifest(path: Path = MANIFEST) -> pd.DataFrame:
    """Read the manifest; every column is text."""
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def read_classes(path: Path = CLASSES) -> list[str]:
    """Read the class map: a class's place in the list is its number."""
    return read_json(path)["classes"]


def class_numbers(labels: pd.Series, classes: list[str]) -> np.ndarray:
    """Labels as int (images,), by their place in the class map."""
    return labels.map({name: number for number, name in enumerate(classes)}).to_numpy(dtype=np.int64)


def _group_names(usable: list[Examined]) -> list[str]:
    """A group is called after its first image's patient, or that image's path."""
    names: dict[int, str] = {}
    return [
        names.setdefault(number, item.source.group or item.source.path)
        for number, item in zip(groups_of(usable), usable, strict=True)
    ]


def _one_split(given: pd.Series) -> str | None:
    names = set(given.dropna())
    return names.pop() if len(names) == 1 else ("train" if names else None)


def _require_complete(rows: pd.DataFrame, classes: list[str]) -> None:
    """A split that came with the dataset may lack what no model can do without."""
    missing = [name for name in SPLITS if not (rows["split"] == name).any()]
    unseen = sorted(set(classes) - set(rows.loc[rows["split"] == "train", "label"]))
    if missing or unseen:
        raise BonexrayError(
            "the dataset's own split", expected="images in train, val and test, and every class in train",
            received=f"none in {', '.join(missing)}" if missing else f"no {', '.join(unseen)} in train",
            do="correct the split, or set dataset.split_column to null to have one made",
        )  # fmt: skip


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


def _take_subset(chosen: pd.Series, counts: pd.DataFrame, settings: Split) -> pd.Series:
    share = min(settings.subset, (settings.max_images or np.inf) / counts.to_numpy().sum())
    if share == 1:
        return chosen
    taken = chosen.copy()
    for split in SPLITS:
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
            "the splits", expected="a patient or unrelated image of every class for each",
            received=f"too few of {scarce!r}", do="add images of this class, or have another split made",
        ) from None  # fmt: skip
