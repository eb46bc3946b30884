"""Summarise the audit and the split of a dataset in numbers."""

from collections import Counter

import numpy as np
import pandas as pd

from bonexray.data.manifest import SPLITS
from bonexray.split.allocation import count_regrouped
from bonexray.split.audit import AuditedImage
from bonexray.split.contradictions import COPY, SAME
from bonexray.split.given_split import is_changed, split_changes, split_sentence
from bonexray.split.grouping import count_crossing
from bonexray.split.lookalikes import Pair
from bonexray.split.shortcut import shortcut_scores


def summarise(
    images: list[AuditedImage],
    pairs: list[Pair],
    groups: np.ndarray,
    manifest: pd.DataFrame,
    classes: list[str],
    policy: str,
) -> dict[str, object]:
    """Return the content of metrics/data.json.

    Args:
        images: all images of the dataset.
        pairs: copies among them, by row.
        groups: int (usable images,).
        manifest: images of the study.
        classes: the class map.
        policy: `audit.crossing`.
    """
    usable = [item for item in images if item.reason is None]
    repeats = Counter(item.pixels_sha256 for item in usable)
    by_split = {
        split: {name: int(((manifest["split"] == split) & (manifest["label"] == name)).sum()) for name in classes}
        for split in SPLITS
    }
    crossing, changes = count_crossing(usable, groups), split_changes(images, manifest)
    return {
        "images": len(manifest),
        "groups": manifest["group"].nunique(),
        "largest_group": int(np.bincount(groups).max()),
        "quarantined": len(images) - len(usable),
        "remarked": sum(bool(item.remarks) for item in usable),
        "contradictory_labels": sum((item.reason or "").startswith(SAME) for item in images),
        "contradictory_copies": sum((item.reason or "").startswith(COPY) for item in images),
        "duplicated_images": sum(count - 1 for count in repeats.values()),
        "duplicate_groups": sum(count > 1 for count in repeats.values()),
        "lookalike_pairs": len(pairs),
        "lookalike_pairs_of_two_labels": sum(images[p.one].source.label != images[p.other].source.label for p in pairs),
        "crossing_images": crossing,
        "leak_suspect": policy == "trust" and crossing > 0,
        "regrouped": count_regrouped(usable, manifest),
        "outside_subset": len(usable) - len(manifest),
        **shortcut_scores(usable, groups),
        "shortcut_chance": 1 / len(classes),
        **by_split,
        **({"given_split": changes} if changes else {}),
        **({"given_split_changed": split_sentence(changes, policy)} if is_changed(changes) else {}),
    }


def paths_by_remark(images: list[AuditedImage]) -> dict[str, list[str]]:
    """Return the paths of the images in use that have each remark."""
    paths: dict[str, list[str]] = {}
    for item in images:
        for remark in item.remarks if item.reason is None else ():
            paths.setdefault(remark, []).append(item.source.path)
    return paths
