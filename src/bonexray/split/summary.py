"""What a dataset holds and what is wrong with it, in numbers."""

from collections import Counter

import numpy as np
import pandas as pd

from bonexray.data.manifest import SPLITS
from bonexray.split.allocation import regrouped
from bonexray.split.audit import Examined
from bonexray.split.grouping import crossing_images
from bonexray.split.lookalikes import Pair
from bonexray.split.shortcut import shortcut_balanced_accuracy


def summarise(
    examined: list[Examined],
    pairs: list[Pair],
    groups: np.ndarray,
    manifest: pd.DataFrame,
    classes: list[str],
    policy: str,
) -> dict[str, object]:
    """Counts for metrics/data.json.

    Args:
        examined: all images.
        pairs: copies among the usable ones, by place.
        groups: int (usable images,).
        manifest: what takes part.
        classes: the class map.
        policy: `audit.crossing`.
    """
    usable = [item for item in examined if item.reason is None]
    repeats = Counter(item.pixels_sha256 for item in usable)
    by_split = {
        split: {name: int(((manifest["split"] == split) & (manifest["label"] == name)).sum()) for name in classes}
        for split in SPLITS
    }
    crossing = crossing_images(usable, groups)
    return {
        "images": len(manifest),
        "groups": manifest["group"].nunique(),
        "largest_group": int(np.bincount(groups).max()),
        "quarantined": len(examined) - len(usable),
        "contradictory_labels": sum("labels" in (item.reason or "") for item in examined),
        "duplicated_images": sum(count - 1 for count in repeats.values()),
        "duplicate_groups": sum(count > 1 for count in repeats.values()),
        "lookalike_pairs": len(pairs),
        "lookalike_pairs_of_two_labels": sum(usable[p.one].source.label != usable[p.other].source.label for p in pairs),
        "crossing_images": crossing,
        "leak_suspect": policy == "trust" and crossing > 0,
        "regrouped": regrouped(usable, manifest),
        "outside_subset": len(usable) - len(manifest),
        "shortcut_balanced_accuracy": shortcut_balanced_accuracy(usable, groups),
        "shortcut_chance": 1 / len(classes),
        **by_split,
    }
