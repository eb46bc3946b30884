"""The usable images of an external cohort, without those of the development cohort."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from bonexray.base.errors import BonexrayError
from bonexray.compute import Compute
from bonexray.data.manifest import image_id
from bonexray.dataset.names import listed
from bonexray.dataset.source import Source
from bonexray.dataset.sources import dataset_root
from bonexray.external.labels import settings_called, with_classes
from bonexray.external.settings import ExternalCohort
from bonexray.split.audit import AuditedImage, audit_images
from bonexray.split.contradictions import among_usable, refuse_contradictions
from bonexray.split.grouping import find_copies, group_names, groups_of
from bonexray.split.lookalikes import Pair
from bonexray.split.placeholders import with_trusted_patients
from bonexray.split.settings import Audit

COPY, PATIENT = "a copy of a development image", "a patient of the development cohort"


@dataclass(frozen=True)
class Cohort:
    """An external cohort as it is scored.

    Attributes:
        root: the folder of its images.
        images: a row for each usable image: id, path, label (a class of the study), group.
        left_out: a row for each other image: path, label, reason.
        unmapped: number of images by label, for labels that have no class in the study.
    """

    root: Path
    images: pd.DataFrame
    left_out: pd.DataFrame
    unmapped: dict[str, int]


def read_cohort(
    name: str,
    settings: ExternalCohort,
    development: tuple[Path, pd.DataFrame],
    classes: list[str],
    audit: Audit,
    compute: Compute,
) -> Cohort:
    """Read an external cohort, and search it for images and patients of the development cohort.

    Args:
        name: of the cohort.
        settings: where its images are.
        development: the folder of the development cohort and its manifest.
        classes: the class map of the study.
        audit: settings of the search for copies.
        compute: where images are read and compared.

    Raises:
        BonexrayError: no image can be used, fewer than two classes remain, a class is unknown, or there are copies of
            the development cohort and `copies` is `refuse`.
    """
    what = f"external.{name}"
    with settings_called(what):
        root = dataset_root(settings)
    sources, unmapped = with_classes(what, settings, classes)
    salt = secrets.token_bytes(32)  # the same for both cohorts, so that their patients can be compared
    follow = settings.links == "follow"
    own = audit_images(root, sources, compute, follow=follow, salt=salt)
    known = audit_images(development[0], sources_of(development[1]), compute, follow=True, salt=salt)
    pairs = find_copies([*own, *known], audit, compute)
    within = [pair for pair in pairs if max(pair.one, pair.other) < len(own)]
    images, _ = with_trusted_patients(refuse_contradictions(own, within), settings)
    images = without_development(images, known, pairs, settings.patients)
    usable = [item for item in images if item.reason is None]
    bad = [(item.source.path, item.source.label, item.reason) for item in images if item.reason is not None]
    if settings.copies == "refuse" and (shared := [path for path, _, reason in bad if reason in (COPY, PATIENT)]):
        raise BonexrayError(
            what,
            expected="no image or patient of the development cohort",
            received=f"{len(shared)}, such as {shared[0]}",
            do="remove them, or set its copies to leave_out",
        )
    require_two_classes(what, {item.source.label for item in usable}, classes)
    names = group_names(usable, groups_of(usable, among_usable(images, within)))
    rows = [(image_id(item.source.path), item.source.path, item.source.label) for item in usable]
    table = pd.DataFrame(rows, columns=["id", "path", "label"]).assign(group=names)
    return Cohort(root, table, pd.DataFrame(bad, columns=["path", "label", "reason"]), unmapped)


def sources_of(manifest: pd.DataFrame) -> list[Source]:
    """Return the images of the development cohort as sources."""
    rows = manifest[["path", "label", "group"]].itertuples(index=False)
    return [Source(path, label, group, None) for path, label, group in rows]


def without_development(
    images: Sequence[AuditedImage], known: Sequence[AuditedImage], pairs: Sequence[Pair], patients: str | None
) -> list[AuditedImage]:
    """Give a reason for leaving out to images that are copies of development images or show the same patient.

    Args:
        images: of the external cohort.
        known: of the development cohort.
        pairs: copies among both, as row numbers of `images` followed by `known`.
        patients: the setting; only patient IDs in DICOM headers show that two cohorts share a patient.
    """
    count = len(images)
    copies = {
        min(pair.one, pair.other) for pair in pairs if min(pair.one, pair.other) < count <= max(pair.one, pair.other)
    }
    pixels = {item.pixels_sha256 for item in known if item.pixels_sha256}
    alike = {images[row].pixels_sha256 for row in copies}
    persons = {item.patient for item in known if item.patient} if patients in (None, "header") else set()
    result = []
    for item in images:
        if item.reason is None and item.pixels_sha256 in pixels | alike:
            item = replace(item, reason=COPY)
        elif item.reason is None and item.patient in persons:
            item = replace(item, reason=PATIENT)
        result.append(item)
    return result


def require_two_classes(what: str, present: set[str], classes: list[str]) -> None:
    """Refuse a cohort in which fewer than two classes have a usable image."""
    if len(present) < 2:
        raise BonexrayError(
            what,
            expected=f"usable images of at least two of {listed(classes)}",
            received=f"only {listed(sorted(present))}" if present else "none",
            do="add images, or map more labels",
        )
