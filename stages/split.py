"""Decide, before anything else, which images take part, which belong together, and which split each is in."""

import logging
from collections import Counter

import pandas as pd

from bonexray.config import Settings
from bonexray.data.audit import Examined, examine
from bonexray.data.manifest import build_manifest, regrouped, write_manifest
from bonexray.data.sources import SPLITS, class_order, dataset_root, list_sources
from bonexray.errors import BonexrayError
from bonexray.outputs import whole_file, write_json
from bonexray.stage import run_stage

log = logging.getLogger("bonexray")


def main(settings: Settings) -> None:
    """Write data/split/manifest.csv, classes.json and quarantine.csv, and metrics/data.json."""
    sources = list_sources(settings.dataset)
    classes = class_order(settings.dataset, sources)
    examined = examine(dataset_root(settings.dataset), sources)
    write_quarantine(examined)
    require_mostly_good(examined, settings.split.max_bad_fraction)
    manifest = build_manifest(examined, classes, settings.split)
    write_manifest(manifest, classes)
    summary = summarise(examined, manifest, classes)
    write_json("metrics/data.json", summary)
    log.info("%d images of %d groups; %d quarantined", summary["images"], summary["groups"], summary["quarantined"])
    for split in SPLITS:
        log.info("%5s: %s", split, summary[split])
    log.info("no group and no image's bytes in two splits: checked")


def write_quarantine(examined: list[Examined]) -> None:
    """List the images that are not used, each with its reason."""
    bad = [(item.source.path, item.source.label, item.reason) for item in examined if item.reason is not None]
    with whole_file("data/split/quarantine.csv") as partial:
        pd.DataFrame(bad, columns=["path", "label", "reason"]).to_csv(partial, index=False, lineterminator="\n")
    for path, _, reason in bad:
        log.info("quarantined: %s: %s", path, reason)


def require_mostly_good(examined: list[Examined], max_bad_fraction: float) -> None:
    """Stop where so much is bad that the dataset itself must be wrong."""
    bad = sum(item.reason is not None for item in examined)
    if bad > max_bad_fraction * len(examined):
        raise BonexrayError(
            "the dataset", expected=f"at most {max_bad_fraction:.0%} images that cannot be used",
            received=f"{bad} of {len(examined)}", do="see data/split/quarantine.csv, or raise split.max_bad_fraction",
        )  # fmt: skip


def summarise(examined: list[Examined], manifest: pd.DataFrame, classes: list[str]) -> dict[str, object]:
    """Counts for metrics/data.json."""
    usable = [item for item in examined if item.reason is None]
    repeats = Counter(item.sha256 for item in usable)
    by_split = {
        split: {name: int(((manifest["split"] == split) & (manifest["label"] == name)).sum()) for name in classes}
        for split in SPLITS
    }
    return {
        "images": len(manifest),
        "groups": manifest["group"].nunique(),
        "quarantined": len(examined) - len(usable),
        "contradictory_labels": sum("labels" in (item.reason or "") for item in examined),
        "duplicated_images": sum(count - 1 for count in repeats.values()),
        "duplicate_groups": sum(count > 1 for count in repeats.values()),
        "regrouped": regrouped(examined, manifest),
        "outside_subset": len(usable) - len(manifest),
        **by_split,
    }


if __name__ == "__main__":
    run_stage(main)
