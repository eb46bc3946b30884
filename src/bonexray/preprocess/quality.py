"""How much better a filter makes an image, where the truth is known.

PSNR and SSIM compare with a clean reference. A phantom has one; a real image has none, so noise of a known
sigma is added to it and the image before the noise is the reference. How much a filter's output resembles its
input says nothing about quality and is not reported.
"""

from pathlib import Path

import numpy as np
from joblib import Parallel, delayed
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from bonexray.config import Denoise
from bonexray.data.images import bounded, read_image
from bonexray.preprocess.filters import FILTERS
from bonexray.progress import progress


def psnr_db(clean: np.ndarray, image: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB of two float images (height, width) in [0, 1]."""
    return float(peak_signal_noise_ratio(clean.astype(float), image.astype(float), data_range=1.0))


def ssim(clean: np.ndarray, image: np.ndarray) -> float:
    """Mean structural similarity of two float images (height, width) in [0, 1] (Wang et al. 2004)."""
    return float(
        structural_similarity(
            clean.astype(float), image.astype(float), data_range=1.0,
            gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
        )
    )  # fmt: skip


def phantom_quality(
    root: Path, reference: Path, denoised: Path, images: dict[str, str], settings: Denoise
) -> dict[str, float]:
    """Mean PSNR and SSIM before and after the filter, over all images, against their clean originals.

    Args:
        root: the dataset's folder.
        reference: a folder with the clean originals by the same names.
        denoised: the folder with what the filter made of them, `<id>.png`.
        images: id to path below the root.
        settings: the working size.

    Returns:
        images, psnr_before_db, psnr_after_db, ssim_before, ssim_after.
    """

    def measure(name: str, path: str) -> tuple[float, ...]:
        clean, noisy = (bounded(read_image(folder / path), settings.working_px) for folder in (reference, root))
        return _compared(clean, noisy, read_image(denoised / f"{name}.png"))

    measured = Parallel(n_jobs=-1, prefer="threads", return_as="generator")(
        delayed(measure)(*image) for image in images.items()
    )
    return _means(list(progress(measured, "PSNR and SSIM", len(images))))


def added_noise_quality(root: Path, images: dict[str, str], settings: Denoise) -> dict[str, float]:
    """Mean PSNR and SSIM before and after the filter, where noise of a known sigma is added to a sample of images.

    Args:
        root: the dataset's folder.
        images: id to path below the root.
        settings: filter, working size, and size, sigma and seed of the sample.

    Returns:
        images, psnr_before_db, psnr_after_db, ssim_before, ssim_after, added_sigma.
    """
    rng = np.random.default_rng(settings.seed)
    names = sorted(rng.choice(sorted(images), min(settings.quality_images, len(images)), replace=False))
    jobs = (delayed(_with_added_noise)(root / images[name], settings, seed) for seed, name in enumerate(names))
    measured = Parallel(n_jobs=-1, return_as="generator")(jobs)
    means = _means(list(progress(measured, "PSNR and SSIM", len(names))))
    return {**means, "added_sigma": settings.quality_sigma}


def _with_added_noise(path: Path, settings: Denoise, seed: int) -> tuple[float, ...]:
    clean = bounded(read_image(path), settings.working_px)
    noise = np.random.default_rng([settings.seed, seed]).normal(0, settings.quality_sigma, clean.shape)
    noisy = np.clip(clean + noise, 0, 1).astype(np.float32)
    return _compared(clean, noisy, FILTERS[settings.method](noisy, settings.sigma))


def _compared(clean: np.ndarray, noisy: np.ndarray, after: np.ndarray) -> tuple[float, ...]:
    return psnr_db(clean, noisy), psnr_db(clean, after), ssim(clean, noisy), ssim(clean, after)


def _means(measured: list[tuple[float, ...]]) -> dict[str, float]:
    keys = ("psnr_before_db", "psnr_after_db", "ssim_before", "ssim_after")
    means = (float(mean) for mean in np.mean(measured, axis=0))
    return {"images": len(measured), **dict(zip(keys, means, strict=True))}
