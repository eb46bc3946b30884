"""Read an external cohort, leave out images and patients of the development cohort, and filter and prepare the rest."""

import logging
import tempfile
from pathlib import Path

import pandas as pd

from bonexray.base.config import StageSettings
from bonexray.base.files import atomic_folder, write_json
from bonexray.compute import Compute
from bonexray.data.manifest import read_classes, read_manifest
from bonexray.data.paths import COHORT_FACTS, EXTERNAL, LEFT_OUT, MANIFEST
from bonexray.dataset.settings import Dataset
from bonexray.dataset.sources import dataset_root
from bonexray.dataset.versioning import require_out_of_git
from bonexray.denoise.denoising import denoise_images
from bonexray.denoise.settings import Denoise
from bonexray.external.cohort import Cohort, read_cohort
from bonexray.external.settings import ExternalCohort
from bonexray.prepare.resizing import prepare_images
from bonexray.prepare.settings import Prepare
from bonexray.split.settings import Audit
from bonexray.stage import run_stage

log = logging.getLogger("bonexray")


class Settings(StageSettings):
    """The sections of params.yaml that the stage reads."""

    external: dict[str, ExternalCohort]
    dataset: Dataset
    audit: Audit
    denoise: Denoise
    prepare: Prepare
    compute: Compute


def main(settings: Settings, name: str) -> None:
    """Write data/external/<name>/: manifest.csv, images.npy, left_out.csv and cohort.json.

    Args:
        settings: of the stage.
        name: of the cohort, a key of the section `external`.
    """
    require_out_of_git(settings.external[name])
    classes, development = read_classes(), (dataset_root(settings.dataset), read_manifest())
    cohort = read_cohort(name, settings.external[name], development, classes, settings.audit, settings.compute)
    with atomic_folder(EXTERNAL / name) as folder:
        cohort.images.to_csv(folder / MANIFEST.name, index=False, lineterminator="\n")
        cohort.left_out.to_csv(folder / LEFT_OUT, index=False, lineterminator="\n")
        facts = facts_of(cohort, classes)
        write_json(folder / COHORT_FACTS, facts)
        paths = dict(zip(cohort.images["id"], cohort.images["path"], strict=True))
        with tempfile.TemporaryDirectory() as filtered:
            denoise_images(cohort.root, paths, Path(filtered), settings.denoise, settings.compute)
            prepare_images(Path(filtered), list(paths), folder, settings.prepare, settings.compute)
    log.info("%s: %d images of %d patients: %s", name, facts["images"], facts["patients"], facts["classes"])
    for reason, count in facts["left_out"].items():
        log.info("left out: %d: %s", count, reason)
    for label, count in facts["unmapped"].items():
        log.info("left out: %d of the label %r, which is no class of the study", count, label)


def facts_of(cohort: Cohort, classes: list[str]) -> dict[str, object]:
    """Return the numbers of images, patients, images by class, and images left out by reason and by label."""
    counts = cohort.images["label"].value_counts()
    return {
        "images": len(cohort.images),
        "patients": int(cohort.images["group"].nunique()),
        "classes": {label: int(counts.get(label, 0)) for label in classes},
        "left_out": {str(reason): int(count) for reason, count in _by_reason(cohort.left_out).items()},
        "unmapped": cohort.unmapped,
    }


def _by_reason(left_out: pd.DataFrame) -> pd.Series:
    return left_out["reason"].value_counts(sort=False)


if __name__ == "__main__":
    run_stage(main, Settings)
