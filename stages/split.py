"""Decide, before anything else, which images take part, which belong together, and which split each is in."""

import logging
from pathlib import Path

import pandas as pd

from bonexray.compute import Compute
from bonexray.config import StageSettings
from bonexray.data.manifest import SPLITS, write_manifest
from bonexray.dataset.settings import Dataset
from bonexray.dataset.sources import class_order, dataset_root, list_sources
from bonexray.errors import BonexrayError
from bonexray.files import atomic_file, atomic_folder, write_json
from bonexray.split.allocation import build_manifest
from bonexray.split.audit import Examined, examine
from bonexray.split.grouping import find_copies, groups_of
from bonexray.split.lookalikes import Pair
from bonexray.split.page import Finding, audit_page, pairs_figure
from bonexray.split.settings import Audit, Split
from bonexray.split.summary import summarise
from bonexray.stage import run_stage

log = logging.getLogger("bonexray")


class Settings(StageSettings):
    """What the stage reads of params.yaml."""

    dataset: Dataset
    split: Split
    audit: Audit
    compute: Compute


def main(settings: Settings) -> None:
    """Write data/split/manifest.csv, classes.json and quarantine.csv, metrics/data.json, and the audit's report."""
    sources = list_sources(settings.dataset)
    classes = class_order(settings.dataset, sources)
    examined = examine(dataset_root(settings.dataset), sources, settings.compute)
    write_quarantine(examined)
    require_mostly_good(examined, settings.split.max_bad_fraction)
    usable = [item for item in examined if item.reason is None]
    pairs = find_copies(usable, settings.audit, settings.compute)
    groups = groups_of(usable, pairs)
    manifest = build_manifest(usable, groups, classes, settings.split, settings.audit)
    summary = summarise(examined, pairs, groups, manifest, classes, settings.audit.crossing)
    write_manifest(manifest, classes, leak_suspect=summary["leak_suspect"])
    write_json("metrics/data.json", summary)
    write_report(usable, pairs, summary, settings.audit.crossing)
    log.info("%d images of %d groups; %d quarantined", summary["images"], summary["groups"], summary["quarantined"])
    for split in SPLITS:
        log.info("%5s: %s", split, summary[split])
    log.info("%d pairs are one picture in other bytes: reports/audit.md", summary["lookalike_pairs"])
    if summary["leak_suspect"]:
        log.warning("%d images stand on both sides of the split and are trusted", summary["crossing_images"])
    else:
        log.info("no group and no image's bytes in two splits: checked")


def write_quarantine(examined: list[Examined]) -> None:
    """List the images that are not used, each with its reason."""
    bad = [(item.source.path, item.source.label, item.reason) for item in examined if item.reason is not None]
    with atomic_file("data/split/quarantine.csv") as partial:
        pd.DataFrame(bad, columns=["path", "label", "reason"]).to_csv(partial, index=False, lineterminator="\n")
    for path, _, reason in bad:
        log.info("quarantined: %s: %s", path, reason)


def require_mostly_good(examined: list[Examined], max_bad_fraction: float) -> None:
    """Stop where so much is bad that the dataset itself must be wrong."""
    bad = sum(item.reason is not None for item in examined)
    if bad > max_bad_fraction * len(examined):
        raise BonexrayError(
            "the dataset",
            expected=f"at most {max_bad_fraction:.0%} images that cannot be used",
            received=f"{bad} of {len(examined)}",
            do="see data/split/quarantine.csv, or raise split.max_bad_fraction",
        )


def write_report(usable: list[Examined], pairs: list[Pair], summary: dict[str, object], policy: str) -> None:
    """Write reports/audit.md, and reports/audit/ with pairs.csv and pairs.png."""
    findings = sorted((finding(usable[p.one], usable[p.other], p.likeness) for p in pairs), key=lambda f: f.badness)[
        ::-1
    ]
    with atomic_file("reports/audit.md") as partial:
        partial.write_text(audit_page(summary, findings, policy), encoding="utf-8")
    with atomic_folder("reports/audit") as folder:
        rows = [(f"{f.likeness:.4f}", *f.paths, *f.labels, *f.splits) for f in findings]
        columns = ["likeness", "one", "other", "label_one", "label_other", "split_one", "split_other"]
        pd.DataFrame(rows, columns=columns).to_csv(folder / "pairs.csv", index=False, lineterminator="\n")
        pairs_figure(findings, Path(folder / "pairs.png"))


def finding(one: Examined, other: Examined, likeness: float) -> Finding:
    """A pair as the report shows it."""
    sources = (one.source, other.source)
    return Finding(
        likeness,
        tuple(s.path for s in sources),
        tuple(s.label for s in sources),
        tuple(s.split or "" for s in sources),
        (one.thumbnail, other.thumbnail),
    )


if __name__ == "__main__":
    run_stage(main, Settings)
