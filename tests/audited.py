"""Audited images, and the manifest that is built from them."""

from collections.abc import Sequence

import pandas as pd

from bonexray.compute import Compute
from bonexray.dataset.source import Source
from bonexray.split.allocation import build_manifest
from bonexray.split.audit import AuditedImage
from bonexray.split.grouping import groups_of
from bonexray.split.lookalikes import Pair
from bonexray.split.settings import Audit, Split

CLASSES = ["normal", "osteopenia"]
LOCAL = Compute(backend="local", scheduler=None)


def settings(subset: float = 1.0, seed: int = 7, max_images: int | None = None, folds: int | None = None) -> Split:
    ratios = {"train": 0.6, "val": 0.2, "test": 0.2}
    return Split(ratios=ratios, subset=subset, max_images=max_images, folds=folds, max_bad_fraction=0.2, seed=seed)


def image(
    path: str, label: str = "normal", group: str | None = None, split: str | None = None, sha: str = "", patient=None
):
    return AuditedImage(
        Source(path, label, group, split), sha or path, None, pixels_sha256=sha or path, patient=patient
    )


def built(images: list[AuditedImage], options: Split, crossing: str = "regroup", pairs: Sequence[Pair] = ()):
    """Return the manifest of the usable images, grouped by their links."""
    usable = [item for item in images if item.reason is None]
    audit = Audit(neighbours=8, likeness=0.7, crossing=crossing)
    return build_manifest(usable, groups_of(usable, pairs), CLASSES, options, audit)


def cohort(per_class: int, split: str | None = None, prefix: str = "") -> list[AuditedImage]:
    """Return unrelated images of both classes, sorted by path."""
    return [image(f"{name}/{prefix}{n:03}", name, split=split) for name in CLASSES for n in range(per_class)]


def splits_of(rows: pd.DataFrame) -> dict[str, str]:
    return dict(zip(rows["path"], rows["split"], strict=True))
