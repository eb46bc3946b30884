"""Compare the speed of the denoise stage with a loop over BM3D: `python benchmarks/denoise.py`.

Filters the same images with the same sigma in three ways: one by one on one thread, one by one on the threads of the
package, and as the stage does it, one image on each core. Prints images per second, the ratio of the stage to the threads
of the package, the efficiency (rate of the stage / (cores x rate of one thread)) and the PSNR of each way.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import bm3d
import numpy as np

from bonexray.compute import Compute
from bonexray.denoise.denoising import denoise_images
from bonexray.denoise.quality import psnr_db
from bonexray.denoise.settings import Denoise
from bonexray.images.reading import read_image, write_png16
from bonexray.phantom.simulation import simulate

PROFILES = {"np": bm3d.BM3DProfile, "lc": bm3d.BM3DProfileLC}
LOCAL = Compute(backend="local", scheduler=None)


def main() -> None:
    """Measure each profile."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=12)
    parser.add_argument("--px", type=int, default=224, help="side of an image")
    parser.add_argument("--sigma", type=float, default=0.086, help="of the noise, relative to the range")
    options = parser.parse_args()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    radiographs = list(islice(simulate(options.images, options.px, 120.0, 2.0, 7), options.images))
    clean, noisy = [r.clean for r in radiographs], [r.noisy for r in radiographs]
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DVC_ROOT"] = folder  # a separate store
        compare_profiles(Path(folder), clean, noisy, options.sigma, cores)


def compare_profiles(folder: Path, clean: list, noisy: list, sigma: float, cores: int) -> None:
    """Print the three rates, ratio, efficiency and PSNR of each profile."""
    stage(folder, "warm", noisy[:cores], Denoise.model_validate(settings("np", sigma / 2)))  # starts the workers
    for profile, make in PROFILES.items():
        one, alone_db = timed(lambda image, make=make: loop(image, sigma, make(), 1), clean, noisy)
        own, threads_db = timed(lambda image, make=make: loop(image, sigma, make(), 0), clean, noisy)
        start = time.perf_counter()
        results = stage(folder, profile, noisy, Denoise.model_validate(settings(profile, sigma)))
        rate = len(noisy) / (time.perf_counter() - start)
        stage_db = float(np.mean([psnr_db(*pair) for pair in zip(clean, results, strict=True)]))
        print(
            f"{profile}: one thread {one:.2f}, own threads {own:.2f}, stage {rate:.2f} images per second on {cores} cores"
        )
        print(f"{profile}: PSNR {alone_db:.2f}, {threads_db:.2f}, {stage_db:.2f} dB")
        print(f"{profile}: ratio: {rate / own:.2f}  efficiency: {rate / (cores * one):.2f}")


def settings(profile: str, sigma: float) -> dict[str, object]:
    """Return the settings of the stage."""
    return {
        "method": "bm3d",
        "options": {"profile": profile},
        "sigma": sigma,
        "working_px": 4096,
        "quality_images": 1,
        "quality_sigma": sigma,
        "store_gb": 1.0,
        "seed": 7,
    }


def loop(image: np.ndarray, sigma: float, profile: bm3d.BM3DProfile, threads: int) -> np.ndarray:
    """Return an image filtered by BM3D; with 0 threads the package chooses their number."""
    profile.num_threads = threads
    return np.clip(bm3d.bm3d(image, sigma, profile), 0, 1)


def timed(work: Callable[[np.ndarray], np.ndarray], clean: list, noisy: list) -> tuple[float, float]:
    """Return images per second and the mean PSNR in dB."""
    start = time.perf_counter()
    results = [work(image) for image in noisy]
    rate = len(noisy) / (time.perf_counter() - start)
    return rate, float(np.mean([psnr_db(*pair) for pair in zip(clean, results, strict=True)]))


def stage(folder: Path, name: str, noisy: list, options: Denoise) -> list[np.ndarray]:
    """Return the images as the stage filters them, from files to files."""
    source, target = folder / f"{name}_in", folder / f"{name}_out"
    source.mkdir()
    target.mkdir()
    for number, image in enumerate(noisy):
        write_png16(source / f"{number}.png", image)
    images = {str(number): f"{number}.png" for number in range(len(noisy))}
    assert denoise_images(source, images, target, options, LOCAL) == len(noisy)
    return [read_image(target / f"{number}.png") for number in range(len(noisy))]


if __name__ == "__main__":
    main()
