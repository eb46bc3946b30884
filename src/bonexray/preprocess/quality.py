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


def filter_quality(root: Path, reference: Path | None, images: dict[str, str], settings: Denoise) -> dict[str, float]:
    """Mean PSNR and SSIM before and after the filter, over a random sample of the images.

    Args:
        root: the dataset's folder.
        reference: a folder with the clean originals by the same names; None adds noise to the images themselves.
        images: id to path below the root.
        settings: filter, and size, sigma and seed of the sample.

    Returns:
        images, psnr_before_db, psnr_after_db, ssim_before, ssim_after; with added noise also added_sigma.
    """
    rng = np.random.default_rng(settings.seed)
    count = min(settings.quality_images, len(images))
    names = sorted(rng.choice(sorted(images), count, replace=False))
    jobs = (delayed(_quality)(root, reference, images[name], settings, seed) for seed, name in enumerate(names))
    measured = Parallel(n_jobs=-1, return_as="generator")(jobs)
    means = np.mean(list(progress(measured, "PSNR and SSIM", count)), axis=0)
    keys = ("psnr_before_db", "psnr_after_db", "ssim_before", "ssim_after")
    added = {} if reference else {"added_sigma": settings.quality_sigma}
    return {"images": count, **added, **dict(zip(keys, (float(mean) for mean in means), strict=True))}


def _quality(root: Path, reference: Path | None, path: str, settings: Denoise, seed: int) -> tuple[float, ...]:
    clean = bounded(read_image((reference or root) / path), settings.working_px)
    if reference:
        noisy = bounded(read_image(root / path), settings.working_px)
    else:
        noise = np.random.default_rng([settings.seed, seed]).normal(0, settings.quality_sigma, clean.shape)
        noisy = np.clip(clean + noise, 0, 1).astype(np.float32)
    after = FILTERS[settings.method](noisy, settings.sigma)
    return psnr_db(clean, noisy), psnr_db(clean, after), ssim(clean, noisy), ssim(clean, after)
