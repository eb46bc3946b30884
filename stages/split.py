"""Audit the images of the dataset, group those that belong together, and split the groups."""

import logging
from pathlib import Path

import pandas as pd

from bonexray.base.config import StageSettings
from bonexray.base.errors import BonexrayError
from bonexray.base.files import atomic_file, atomic_folder, write_json
from bonexray.compute import Compute
from bonexray.data.folds import learners
from bonexray.data.manifest import SPLITS, write_manifest
from bonexray.data.record import read_record, write_record
from bonexray.dataset.definition import require_no_separation
from bonexray.dataset.record import require_facts, table_facts
from bonexray.dataset.settings import Dataset
from bonexray.dataset.sources import class_order, dataset_root, read_listing, tree_lines
from bonexray.dataset.versioning import require_out_of_git
from bonexray.split.allocation import build_manifest
from bonexray.split.audit import AuditedImage, audit_images
from bonexray.split.contradictions import among_usable, refuse_contradictions
from bonexray.split.given_split import is_changed, require_usable_splits, split_sentence
from bonexray.split.grouping import find_copies, groups_of
from bonexray.split.lookalikes import NOT_SEARCHED, SEARCHED, Pair
from bonexray.split.page import Finding, audit_page, pairs_figure
from bonexray.split.placeholders import with_trusted_patients
from bonexray.split.record import record_of
from bonexray.split.regions import write_regions
from bonexray.split.settings import Audit, Split
from bonexray.split.summary import paths_by_remark, summarise
from bonexray.stage import run_stage

log = logging.getLogger("bonexray")


class Settings(StageSettings):
    """The sections of params.yaml that the stage reads."""

    dataset: Dataset
    split: Split
    audit: Audit
    compute: Compute


def main(settings: Settings) -> None:
    """Write manifest.csv, classes.json, record.csv, quarantine.csv and regions/ to data/split/, and the audit's report."""
    require_out_of_git(settings.dataset)
    listing = read_listing(settings.dataset)
    facts = table_facts(settings.dataset, listing.sources, listing.notes)
    require_facts(settings.dataset, facts, listing.sources)
    classes = class_order(settings.dataset, listing.sources)
    tree = tree_lines(settings.dataset, listing, classes)
    follow = settings.dataset.links == "follow"
    root = dataset_root(settings.dataset)
    images = audit_images(root, listing.sources, settings.compute, follow=follow)
    pairs = find_copies(images, settings.audit, settings.compute)
    images, patients = with_trusted_patients(refuse_contradictions(images, pairs), settings.dataset)
    write_quarantine(images)
    require_mostly_usable(images, settings.split.max_bad_fraction)
    require_usable_splits(images)
    usable = [item for item in images if item.reason is None]
    groups = groups_of(usable, among_usable(images, pairs))
    manifest = build_manifest(usable, groups, classes, settings.split, settings.audit)
    summary = summarise(images, pairs, groups, manifest, classes, settings.audit.crossing)
    columns: list[str] = []
    write_record(record_of(settings.dataset, root, images, facts, manifest, columns))
    annotated = write_regions(settings.dataset, images, manifest)
    require_no_separation(settings.dataset, read_record(), manifest["label"].to_numpy(), learners(manifest))
    write_manifest(manifest, classes, leak_suspect=summary["leak_suspect"])
    write_json("metrics/data.json", summary)
    searched = SEARCHED if settings.audit.neighbours else NOT_SEARCHED
    write_report(images, pairs, summary, settings.audit.crossing, [*tree, *patients, searched])
    if settings.dataset.boxes:
        log.info("%d images have boxes or masks", annotated)
    if changes := summary.get("given_split"):
        level = logging.WARNING if is_changed(changes) else logging.INFO
        log.log(level, "%s", split_sentence(changes, settings.audit.crossing))
    for line in tree:
        log.info("%s", line)
    for line in [*patients, *columns]:
        log.warning("%s", line)
    for item in images:
        if item.reason is not None:
            log.info("quarantined: %s: %s", item.source.path, item.reason)
    log.info("%d images of %d groups; %d quarantined", summary["images"], summary["groups"], summary["quarantined"])
    for split in SPLITS:
        log.info("%5s: %s", split, summary[split])
    if summary["remarked"]:
        log.warning(
            "%d images are used although something in the file is malformed: see reports/audit.md", summary["remarked"]
        )
    log.info("%d pairs of copies with different pixels: see reports/audit.md", summary["lookalike_pairs"])
    if summary["contradictory_copies"]:
        log.warning("%d copies under two labels are quarantined", summary["contradictory_copies"])
    if summary["leak_suspect"]:
        log.warning("%d images of groups that cross the splits are trusted", summary["crossing_images"])
    else:
        log.info("no group and no file is in two splits; %s", searched)


def write_quarantine(images: list[AuditedImage]) -> None:
    """Write data/split/quarantine.csv: the images that cannot be used, each with the reason."""
    bad = [(item.source.path, item.source.label, item.reason) for item in images if item.reason is not None]
    with atomic_file("data/split/quarantine.csv") as partial:
        pd.DataFrame(bad, columns=["path", "label", "reason"]).to_csv(partial, index=False, lineterminator="\n")


def require_mostly_usable(images: list[AuditedImage], max_bad_fraction: float) -> None:
    """Refuse a dataset with too many images that cannot be used."""
    bad = sum(item.reason is not None for item in images)
    if bad > max_bad_fraction * len(images):
        raise BonexrayError(
            "the dataset",
            expected=f"at most {max_bad_fraction:.0%} images that cannot be used",
            received=f"{bad} of {len(images)}",
            do="see data/split/quarantine.csv, or raise split.max_bad_fraction",
        )


def write_report(
    images: list[AuditedImage], pairs: list[Pair], summary: dict[str, object], policy: str, notes: list[str]
) -> None:
    """Write reports/audit.md, and reports/audit/ with pairs.csv and pairs.png."""
    findings = [finding(images[pair.one], images[pair.other], pair.likeness) for pair in pairs]
    findings = sorted(findings, key=lambda item: item.badness)[::-1]
    with atomic_file("reports/audit.md") as partial:
        partial.write_text(audit_page(summary, findings, policy, paths_by_remark(images), notes), encoding="utf-8")
    with atomic_folder("reports/audit") as folder:
        rows = [(f"{f.likeness:.4f}", *f.paths, *f.labels, *f.splits) for f in findings]
        columns = ["likeness", "one", "other", "label_one", "label_other", "split_one", "split_other"]
        pd.DataFrame(rows, columns=columns).to_csv(folder / "pairs.csv", index=False, lineterminator="\n")
        pairs_figure(findings, Path(folder / "pairs.png"))


def finding(one: AuditedImage, other: AuditedImage, likeness: float) -> Finding:
    """Return a pair of copies as the report shows it."""
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
