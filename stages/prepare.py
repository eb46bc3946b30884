"""Normalise and resize every denoised image for the networks."""

from pathlib import Path

from bonexray.base.config import StageSettings
from bonexray.base.files import atomic_folder
from bonexray.compute import Compute
from bonexray.data.manifest import read_manifest
from bonexray.prepare.regions import prepare_regions
from bonexray.prepare.resizing import prepare_images
from bonexray.prepare.settings import Prepare
from bonexray.stage import run_stage


class Settings(StageSettings):
    """The sections of params.yaml that the stage reads."""

    prepare: Prepare
    compute: Compute


def main(settings: Settings) -> None:
    """Write data/prepared/: images.npy in the order of the manifest and index.csv, and where findings are if known."""
    source, ids = Path("data/denoised"), list(read_manifest()["id"])
    with atomic_folder("data/prepared") as folder:
        prepare_images(source, ids, folder, settings.prepare, settings.compute)
        prepare_regions(source, ids, folder, settings.prepare)


if __name__ == "__main__":
    run_stage(main, Settings)
