"""The filters: a function `(pixels, sigma, *, options) -> pixels` and an entry in `FILTERS` for each.

Pixels are float32 (height, width) in [0, 1], before and after. Sigma is the standard deviation of the noise in the same
units; filters that need it estimate it from the image if it is None. Keyword arguments are the options that
`denoise.options` accepts, with their types and defaults.
"""

from collections.abc import Callable
from functools import partial
from inspect import Parameter, signature
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from bonexray.base.errors import BonexrayError
from bonexray.denoise.bm3d_engines import ENGINES, EngineName, Profile, require_engine
from bonexray.denoise.gpu import bm3d_on_gpu
from bonexray.denoise.settings import Denoise

Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]

_LEVELS = 256  # of a histogram


def estimated_sigma(pixels: np.ndarray) -> float:
    """Estimate the noise of an image from the median absolute deviation of its finest wavelet coefficients.

    Args:
        pixels: float (height, width) in [0, 1].

    Returns:
        The standard deviation of the noise, in the same units.

    References:
        Donoho and Johnstone, Ideal spatial adaptation by wavelet shrinkage, Biometrika 1994.
    """
    from skimage.restoration import estimate_sigma

    return float(estimate_sigma(pixels))


def unfiltered(pixels: np.ndarray, sigma: float | None) -> np.ndarray:
    """Return the image unchanged."""
    return pixels


def bm3d(
    pixels: np.ndarray,
    sigma: float | None,
    *,
    profile: Profile | None = None,
    device: Literal["cpu", "gpu"] = "cpu",
    engine: EngineName = "bm3d",
) -> np.ndarray:
    """Filter by block matching and 3-D filtering, in both stages: hard thresholding, then Wiener.

    Args:
        pixels: float32 (height, width) in [0, 1].
        sigma: of the noise; None estimates it.
        profile: of `bm3d`: `lc` low complexity, `np` normal, `vn` very noisy, `high` high quality; None takes `lc` for
            `bm3d`, which is nearly as good as `np` in a third of the time (`benchmarks/engines.py`), and `np` otherwise.
        device: `gpu` uses another package, which has only the normal profile; see `gpu.py`.
        engine: package that filters on the processor; all but `bm3d` have only the normal profile; see `bm3d_engines.py`.

    References:
        Dabov et al., Image denoising by sparse 3-D transform-domain collaborative filtering, IEEE TIP 2007.
    """
    sigma = estimated_sigma(pixels) if sigma is None else sigma
    if sigma == 0:  # BM3D would divide by 0
        return pixels
    if device == "gpu":
        return _clipped(bm3d_on_gpu(pixels, sigma))
    return _clipped(ENGINES[engine].run(pixels, sigma, profile or default_profile(engine, device)))


def median(pixels: np.ndarray, sigma: float | None, *, window_px: Count = 3) -> np.ndarray:
    """Filter by the median of a square window around each pixel.

    Args:
        pixels: float32 (height, width) in [0, 1].
        sigma: not used.
        window_px: side of the window.
    """
    from scipy.ndimage import median_filter

    return median_filter(pixels, size=window_px, mode="nearest")


def bilateral(
    pixels: np.ndarray,
    sigma: float | None,
    *,
    window_px: Count = 9,
    range_sigma: Positive = 75 / 255,
    distance_sigma_px: Positive = 75.0,
) -> np.ndarray:
    """Filter by a mean over a window, weighted by distance and difference in brightness, which preserves edges.

    Args:
        pixels: float32 (height, width) in [0, 1].
        sigma: not used.
        window_px: diameter of the window.
        range_sigma: of brightness, relative to the range; by default 75 of 255 levels.
        distance_sigma_px: of distance.

    References:
        Tomasi and Manduchi, Bilateral filtering for gray and color images, ICCV 1998.
    """
    from skimage.restoration import denoise_bilateral

    return _clipped(
        denoise_bilateral(
            pixels.copy(), win_size=window_px, sigma_color=range_sigma, sigma_spatial=distance_sigma_px, mode="edge"
        )
    )


def clahe(pixels: np.ndarray, sigma: float | None, *, clip: Positive = 2.0, tiles: Count = 8) -> np.ndarray:
    """Apply contrast-limited adaptive histogram equalisation, which is no denoiser but is published as one.

    Args:
        pixels: float32 (height, width) in [0, 1].
        sigma: not used.
        clip: limit of a tile's histogram, in multiples of a uniform one.
        tiles: along each side.

    References:
        Zuiderveld, Contrast limited adaptive histogram equalization, Graphics Gems IV, 1994.
    """
    from skimage.exposure import equalize_adapthist

    kernel = tuple(max(1, side // tiles) for side in pixels.shape)
    return _clipped(equalize_adapthist(pixels, kernel, clip_limit=clip / _LEVELS, nbins=_LEVELS))


def clahe_median(
    pixels: np.ndarray, sigma: float | None, *, clip: Positive = 2.0, tiles: Count = 8, window_px: Count = 3
) -> np.ndarray:
    """Apply CLAHE, then a median filter.

    Args:
        pixels: float32 (height, width) in [0, 1].
        sigma: not used.
        clip: see `clahe`.
        tiles: see `clahe`.
        window_px: see `median`.
    """
    return median(clahe(pixels, sigma, clip=clip, tiles=tiles), sigma, window_px=window_px)


def nlm(
    pixels: np.ndarray, sigma: float | None, *, patch_px: Count = 5, search_px: Count = 6, strength: Positive = 0.8
) -> np.ndarray:
    """Filter by non-local means: a mean over pixels with similar patches.

    Args:
        pixels: float32 (height, width) in [0, 1].
        sigma: of the noise; None estimates it.
        patch_px: side of a patch.
        search_px: maximum distance of the patches.
        strength: cut-off of the similarity, in multiples of sigma.

    References:
        Buades, Coll and Morel, A non-local algorithm for image denoising, CVPR 2005.
    """
    from skimage.restoration import denoise_nl_means

    sigma = estimated_sigma(pixels) if sigma is None else sigma
    if sigma == 0:
        return pixels
    return _clipped(
        denoise_nl_means(
            pixels, patch_size=patch_px, patch_distance=search_px, h=strength * sigma, sigma=sigma, fast_mode=True
        )
    )


def wavelet(pixels: np.ndarray, sigma: float | None, *, family: Literal["db1", "db2", "sym4"] = "db2") -> np.ndarray:
    """Filter by soft thresholding of wavelet coefficients at the BayesShrink threshold of each band.

    Args:
        pixels: float32 (height, width) in [0, 1].
        sigma: of the noise; None estimates it.
        family: of wavelets.

    References:
        Chang, Yu and Vetterli, Adaptive wavelet thresholding for image denoising and compression, IEEE TIP 2000.
    """
    from skimage.restoration import denoise_wavelet

    sigma = estimated_sigma(pixels) if sigma is None else sigma
    return _clipped(denoise_wavelet(pixels, sigma=sigma, wavelet=family, rescale_sigma=False)) if sigma else pixels


def tv(pixels: np.ndarray, sigma: float | None, *, weight: Positive = 1.2) -> np.ndarray:
    """Filter by total variation: return the smoothest image close to the noisy one.

    Args:
        pixels: float32 (height, width) in [0, 1].
        sigma: of the noise; None estimates it.
        weight: of smoothness against closeness, in multiples of sigma.

    References:
        Chambolle, An algorithm for total variation minimization and applications, J. Math. Imaging Vis. 2004.
    """
    from skimage.restoration import denoise_tv_chambolle

    sigma = estimated_sigma(pixels) if sigma is None else sigma
    return _clipped(denoise_tv_chambolle(pixels, weight=weight * sigma)) if sigma else pixels


FILTERS: dict[str, Callable[..., np.ndarray]] = {
    "none": unfiltered,
    "bm3d": bm3d,
    "median": median,
    "bilateral": bilateral,
    "clahe": clahe,
    "clahe_median": clahe_median,
    "nlm": nlm,
    "wavelet": wavelet,
    "tv": tv,
}


def filter_of(settings: Denoise) -> Callable[[np.ndarray], np.ndarray]:
    """Return the filter of the settings as a function of pixels alone.

    Raises:
        BonexrayError: the filter or an option is unknown, or the value of an option is invalid.
    """
    return partial(FILTERS[settings.method], sigma=settings.sigma, **options_of(settings))


def options_of(settings: Denoise) -> dict[str, object]:
    """Return all options of the filter of the settings, including defaults.

    Raises:
        BonexrayError: the filter or an option is unknown, or the value of an option is invalid.
    """
    if settings.method not in FILTERS:
        raise BonexrayError(
            "denoise.method",
            expected=f"one of {', '.join(FILTERS)}",
            received=repr(settings.method),
            do="correct the name",
        )
    model = _options_model(FILTERS[settings.method])
    try:
        options = model.model_validate(settings.options).model_dump()
    except ValidationError as error:
        detail = error.errors()[0]
        unknown = detail["type"] == "extra_forbidden"
        names = ", ".join(model.model_fields) or "no options"
        raise BonexrayError(
            f"denoise.options.{'.'.join(map(str, detail['loc']))}, {settings.method}",
            expected=names if unknown else detail["msg"].removeprefix("Input should be "),
            received="an unknown option" if unknown else repr(detail["input"]),
            do="correct it, or omit it",
        ) from None
    if settings.method == "bm3d":
        options["profile"] = options["profile"] or default_profile(options["engine"], options["device"])
        _require_bm3d(**options)
    return options


def default_profile(engine: str, device: str) -> str:
    """Return the profile of BM3D that is used if the options name none."""
    return ENGINES[engine].profiles[0] if device == "cpu" else "np"


def _require_bm3d(profile: str, device: str, engine: str) -> None:
    """Refuse a profile that the package does not have, and an engine that is not installed or not for the device."""
    if device == "cpu":
        require_engine(engine, profile)
    elif engine != "bm3d":
        raise BonexrayError(
            "denoise.options.engine, bm3d",
            expected="no engine if device is gpu: bm3d-cupy runs there",
            received=repr(engine),
            do="omit the engine, or set denoise.options.device=cpu",
        )
    elif profile != "np":
        raise BonexrayError(
            "denoise.options.profile, bm3d",
            expected="np if device is gpu: bm3d-cupy has no other",
            received=repr(profile),
            do="omit the profile, or set denoise.options.device=cpu",
        )


def _options_model(function: Callable[..., np.ndarray]) -> type[BaseModel]:
    """Return a model of the options of a filter, from its signature."""
    options = [item for item in signature(function).parameters.values() if item.kind is Parameter.KEYWORD_ONLY]
    fields = {item.name: (item.annotation, item.default) for item in options}
    return create_model(function.__name__, __config__=ConfigDict(extra="forbid", strict=True), **fields)


def _clipped(pixels: np.ndarray) -> np.ndarray:
    return np.clip(pixels, 0, 1).astype(np.float32)
