"""Bring every denoised image to the size and range that the networks see."""

from pathlib import Path

from bonexray.config import Settings
from bonexray.data.manifest import read_manifest
from bonexray.outputs import whole_folder
from bonexray.preprocess.prepare import prepare_images
from bonexray.stage import run_stage


def main(settings: Settings) -> None:
    """Write data/prepared/images.npy, in the manifest's order, and its index."""
    with whole_folder("data/prepared") as folder:
        prepare_images(Path("data/denoised"), list(read_manifest()["id"]), folder, settings.prepare, settings.compute)


if __name__ == "__main__":
    run_stage(main)
