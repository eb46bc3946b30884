"""The filters: one function each, `(pixels, sigma) -> pixels`, and one row each in `FILTERS`."""

from collections.abc import Callable

import numpy as np

from bonexray.errors import BonexrayError

Filter = Callable[[np.ndarray, float | None], np.ndarray]


def estimated_sigma(pixels: np.ndarray) -> float:
    """Noise of an image, from the median absolute deviation of its finest wavelet coefficients.

    Args:
        pixels: float (height, width) in [0, 1].

    Returns:
        Standard deviation of the noise in the same units.

    References:
        Donoho and Johnstone, Ideal spatial adaptation by wavelet shrinkage, Biometrika 1994.
    """
    from skimage.restoration import estimate_sigma

    return float(estimate_sigma(pixels))


def unfiltered(pixels: np.ndarray, sigma: float | None) -> np.ndarray:
    """The image as it is."""
    return pixels


def bm3d(pixels: np.ndarray, sigma: float | None) -> np.ndarray:
    """Block-matching and 3-D filtering, both stages: hard thresholding, then Wiener.

    Args:
        pixels: float (height, width) in [0, 1].
        sigma: standard deviation of the noise in the same units; None estimates it from the image.

    Returns:
        float32 (height, width), clipped to [0, 1].

    References:
        Dabov et al., Image denoising by sparse 3-D transform-domain collaborative filtering, IEEE TIP 2007.
    """
    import bm3d as package

    profile = package.BM3DProfile()
    profile.num_threads = 1  # the same bytes at every run, and the cores are busy with other images
    sigma = estimated_sigma(pixels) if sigma is None else sigma
    if sigma == 0:  # nothing to remove, and BM3D divides by it
        return pixels
    smooth = package.bm3d(pixels, sigma, profile, stage_arg=package.BM3DStages.ALL_STAGES)
    return np.clip(smooth, 0, 1).astype(np.float32)


FILTERS: dict[str, Filter] = {
    "none": unfiltered,
    "bm3d": bm3d,
}


def require_filter(name: str) -> None:
    """Refuse a filter that the table does not have."""
    if name not in FILTERS:
        raise BonexrayError(
            "denoise.method",
            expected=f"one of {', '.join(FILTERS)}",
            received=repr(name),
            do="correct the name",
        )
