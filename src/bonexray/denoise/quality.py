"""How much better a filter makes an image, where the truth is known.

PSNR and SSIM compare with a clean reference. A phantom has one; a real image has none, so noise of a known
sigma is added to it and the image before the noise is the reference. How much a filter's output resembles its
input says nothing about quality and is not reported.
"""

import hashlib
from pathlib import Path

import numpy as np
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from bonexray.compute import Compute, spread
from bonexray.denoise.gpu import on_gpu
from bonexray.denoise.settings import Denoise
from bonexray.denoise.store import Store, from_png, store_folder
from bonexray.images.reading import bounded, read_image


def psnr_db(clean: np.ndarray, image: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB of two float images (height, width) in [0, 1]."""
    return float(peak_signal_noise_ratio(clean.astype(float), image.astype(float), data_range=1.0))


def ssim(clean: np.ndarray, image: np.ndarray) -> float:
    """Mean structural similarity of two float images (height, width) in [0, 1] (Wang et al. 2004)."""
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
    """Mean PSNR and SSIM before and after the filter, over all images, against their clean originals.

    Args:
        root: the dataset's folder.
        reference: a folder with the clean originals by the same names.
        denoised: the folder with what the filter made of them, `<id>.png`.
        images: id to path below the root.
        settings: the working size.
        compute: where the work is done.

    Returns:
        images, psnr_before_db, psnr_after_db, ssim_before, ssim_after.
    """
    folders = [folder.resolve() for folder in (reference, root, denoised)]
    items = [
        (folders[0] / path, folders[1] / path, folders[2] / f"{name}.png", settings.working_px)
        for name, path in images.items()
    ]
    return _means(list(spread(_of_a_phantom, items, "PSNR and SSIM", compute, threads=True)))


def added_noise_quality(root: Path, images: dict[str, str], settings: Denoise, compute: Compute) -> dict[str, float]:
    """Mean PSNR and SSIM before and after the filter, where noise of a known sigma is added to a sample of images.

    Args:
        root: the dataset's folder.
        images: id to path below the root.
        settings: filter, working size, and size, sigma and seed of the sample.
        compute: where the work is done.

    Returns:
        images, psnr_before_db, psnr_after_db, ssim_before, ssim_after, added_sigma.
    """
    store = Store(store_folder(), settings)
    names = sorted(images, key=lambda name: _lot(name, settings.seed))[: settings.quality_images]
    items = [((root / images[name]).resolve(), settings, _lot(name, settings.seed), store) for name in sorted(names)]
    means = _means(list(spread(_with_added_noise, items, "PSNR and SSIM", compute, threads=on_gpu(settings))))
    return {**means, "added_sigma": settings.quality_sigma}


def _lot(name: str, seed: int) -> int:
    """A number drawn for an image by its name, so that a grown folder changes the sample by its new images alone."""
    return int.from_bytes(hashlib.sha256(f"{seed} {name}".encode()).digest()[:8])


def _of_a_phantom(clean: Path, noisy: Path, denoised: Path, working_px: int) -> tuple[float, ...]:
    return _compared(*(bounded(read_image(path), working_px) for path in (clean, noisy)), read_image(denoised))


def _with_added_noise(path: Path, settings: Denoise, seed: int, store: Store) -> tuple[float, ...]:
    clean = bounded(read_image(path), settings.working_px)
    noise = np.random.default_rng(seed).normal(0, settings.quality_sigma, clean.shape)
    noisy = np.clip(clean + noise, 0, 1).astype(np.float32)
    png = store.filtered(store.name_of(noisy.tobytes()), lambda: noisy)
    return _compared(clean, noisy, from_png(png))


def _compared(clean: np.ndarray, noisy: np.ndarray, after: np.ndarray) -> tuple[float, ...]:
    return psnr_db(clean, noisy), psnr_db(clean, after), ssim(clean, noisy), ssim(clean, after)


def _means(measured: list[tuple[float, ...]]) -> dict[str, float]:
    keys = ("psnr_before_db", "psnr_after_db", "ssim_before", "ssim_after")
    means = (float(mean) for mean in np.mean(measured, axis=0))
    return {"images": len(measured), **dict(zip(keys, means, strict=True))}
