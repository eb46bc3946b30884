"""Measure the quality of a filter against clean references.

PSNR and SSIM compare an image with a clean reference. A phantom has one. A real image has none, so noise of a known sigma
is added to it, and the image without that noise is the reference. The similarity between the output and the input of a
filter says nothing about quality and is not reported.
"""

import hashlib
from pathlib import Path

import numpy as np
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from bonexray.compute import Compute, parallel_map
from bonexray.denoise.gpu import on_gpu
from bonexray.denoise.settings import Denoise
from bonexray.denoise.store import Store, from_png, store_folder
from bonexray.images.reading import bounded, read_image


def psnr_db(clean: np.ndarray, image: np.ndarray) -> float:
    """Return the peak signal-to-noise ratio in dB of two float images (height, width) in [0, 1]."""
    return float(peak_signal_noise_ratio(clean.astype(float), image.astype(float), data_range=1.0))


def ssim(clean: np.ndarray, image: np.ndarray) -> float:
    """Return the mean structural similarity of two float images (height, width) in [0, 1] (Wang et al. 2004)."""
    return float(
        structural_similarity(
            clean.astype(float),
            image.astype(float),
            data_range=1.0,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
    )


def phantom_quality(
    root: Path, reference: Path, denoised: Path, images: dict[str, str], settings: Denoise, compute: Compute
) -> dict[str, float]:
    """Return mean PSNR and SSIM before and after the filter, over all images, against their clean originals.

    Args:
        root: folder of the dataset.
        reference: folder of the clean originals, with the same paths.
        denoised: folder of the filtered images, `<id>.png`.
        images: id to path, relative to the root.
        settings: the working size.
        compute: where the work runs.

    Returns:
        images, psnr_before_db, psnr_after_db, ssim_before, ssim_after.
    """
    folders = [folder.resolve() for folder in (reference, root, denoised)]
    items = [
        (folders[0] / path, folders[1] / path, folders[2] / f"{image_id}.png", settings.working_px)
        for image_id, path in images.items()
    ]
    return _means(list(parallel_map(_phantom_scores, items, "PSNR and SSIM", compute, threads=True)))


def added_noise_quality(root: Path, images: dict[str, str], settings: Denoise, compute: Compute) -> dict[str, float]:
    """Return mean PSNR and SSIM before and after the filter, on a sample of images with added noise.

    Args:
        root: folder of the dataset.
        images: id to path, relative to the root.
        settings: filter, working size, and size, sigma and seed of the sample.
        compute: where the work runs.

    Returns:
        images, psnr_before_db, psnr_after_db, ssim_before, ssim_after, added_sigma.
    """
    store = Store(store_folder(), settings)
    sample = sorted(images, key=lambda image_id: _image_seed(image_id, settings.seed))[: settings.quality_images]
    items = [
        ((root / images[image_id]).resolve(), settings, _image_seed(image_id, settings.seed), store)
        for image_id in sorted(sample)
    ]
    means = _means(list(parallel_map(_added_noise_scores, items, "PSNR and SSIM", compute, threads=on_gpu(settings))))
    return {**means, "added_sigma": settings.quality_sigma}


def _image_seed(image_id: str, seed: int) -> int:
    """Return a seed that depends on the id, so that new images do not change the noise of the others."""
    return int.from_bytes(hashlib.sha256(f"{seed} {image_id}".encode()).digest()[:8])


def _phantom_scores(clean: Path, noisy: Path, denoised: Path, working_px: int) -> tuple[float, ...]:
    return _scores(*(bounded(read_image(path), working_px) for path in (clean, noisy)), read_image(denoised))


def _added_noise_scores(path: Path, settings: Denoise, seed: int, store: Store) -> tuple[float, ...]:
    clean = bounded(read_image(path), settings.working_px)
    noise = np.random.default_rng(seed).normal(0, settings.quality_sigma, clean.shape)
    noisy = np.clip(clean + noise, 0, 1).astype(np.float32)
    png = store.filtered(store.name_of(noisy.tobytes()), lambda: noisy)
    return _scores(clean, noisy, from_png(png))


def _scores(clean: np.ndarray, noisy: np.ndarray, denoised: np.ndarray) -> tuple[float, ...]:
    return psnr_db(clean, noisy), psnr_db(clean, denoised), ssim(clean, noisy), ssim(clean, denoised)


def _means(scores: list[tuple[float, ...]]) -> dict[str, float]:
    keys = ("psnr_before_db", "psnr_after_db", "ssim_before", "ssim_after")
    means = (float(mean) for mean in np.mean(scores, axis=0))
    return {"images": len(scores), **dict(zip(keys, means, strict=True))}
