"""Denoise every image of the manifest, and measure the quality against clean references."""

import logging
from pathlib import Path

from bonexray.base.config import StageSettings
from bonexray.base.files import atomic_folder, write_json
from bonexray.compute import Compute
from bonexray.data.manifest import read_manifest
from bonexray.dataset.settings import Dataset
from bonexray.dataset.sources import dataset_root
from bonexray.denoise.denoising import denoise_images
from bonexray.denoise.quality import added_noise_quality, phantom_quality
from bonexray.denoise.settings import Denoise
from bonexray.denoise.store import store_folder, trim
from bonexray.stage import run_stage

log = logging.getLogger("bonexray")


class Settings(StageSettings):
    """The sections of params.yaml that the stage reads."""

    dataset: Dataset
    denoise: Denoise
    compute: Compute


def main(settings: Settings) -> None:
    """Write data/denoised/<id>.png and metrics/denoise.json."""
    manifest = read_manifest()
    images = dict(zip(manifest["id"], manifest["path"], strict=True))
    root = dataset_root(settings.dataset)
    with atomic_folder("data/denoised") as folder:
        new = denoise_images(root, images, folder, settings.denoise, settings.compute)
    if settings.dataset.reference:
        reference = Path(settings.dataset.reference)
        quality = phantom_quality(root, reference, Path("data/denoised"), images, settings.denoise, settings.compute)
    else:
        quality = added_noise_quality(root, images, settings.denoise, settings.compute)
    write_json("metrics/denoise.json", quality)
    removed = trim(store_folder(), settings.denoise.store_gb * 1e9)
    log.info("%d of %d images filtered; %d files removed from the store", new, len(images), removed)
    log.info("PSNR %.1f to %.1f dB", quality["psnr_before_db"], quality["psnr_after_db"])
    log.info("SSIM %.2f to %.2f", quality["ssim_before"], quality["ssim_after"])


if __name__ == "__main__":
    run_stage(main, Settings)
