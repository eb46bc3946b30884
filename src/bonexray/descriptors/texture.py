"""Texture of an image in 26 numbers: gradients, co-occurrence of grey levels, local binary patterns, fractal dimension."""

import numpy as np
from skimage.feature import graycomatrix, graycoprops, local_binary_pattern
from skimage.filters import laplace, sobel_h, sobel_v

LEVELS = 32  # grey levels of the co-occurrence matrix
DISTANCES = (1, 3)  # pixels between co-occurring grey levels
ANGLES = (0, np.pi / 4, np.pi / 2, 3 * np.pi / 4)
PROPERTIES = ("contrast", "homogeneity", "energy", "correlation", "entropy")
NEIGHBOURS = 8  # of a local binary pattern, at 1 pixel
LAGS = (1, 2, 4, 8)  # pixels over which the roughness is followed
NEVER_ZERO = 1e-6


def describe(image: np.ndarray) -> dict[str, float]:
    """Return the texture of an image.

    Args:
        image: float (px, px) in [0, 1].

    Returns:
        Name to number: strength and direction of gradients; properties of the co-occurrence matrix at 1 and 3 px, means
        over four directions (Haralick et al., IEEE Trans. SMC 3, 1973); shares of uniform local binary patterns (Ojala
        et al., IEEE Trans. PAMI 24, 2002); and the fractal dimension of fractional Brownian motion, 2 to 3 (Pentland,
        IEEE Trans. PAMI 6, 1984).
    """
    return {**_gradients(image), **_co_occurrence(image), **_patterns(image), "fractal_dimension": _dimension(image)}


def _gradients(image: np.ndarray) -> dict[str, float]:
    across, down = sobel_v(image), sobel_h(image)
    size = np.hypot(across, down)
    xx, yy, xy = (across**2).mean(), (down**2).mean(), (across * down).mean()
    return {
        "gradient_mean": float(size.mean()),
        "gradient_sd": float(size.std()),
        "gradient_anisotropy": float(np.hypot(xx - yy, 2 * xy) / (xx + yy + NEVER_ZERO)),
        "gradient_angle": float((xx - yy) / (xx + yy + NEVER_ZERO)),
        "laplacian_sd": float(laplace(image).std()),
    }


def _co_occurrence(image: np.ndarray) -> dict[str, float]:
    grey = np.minimum((image * LEVELS).astype(np.uint8), LEVELS - 1)
    matrix = graycomatrix(grey, DISTANCES, ANGLES, LEVELS, symmetric=True, normed=True)
    return {
        f"glcm_{name}_{distance}px": float(value)
        for name in PROPERTIES
        for distance, value in zip(DISTANCES, graycoprops(matrix, name).mean(axis=1), strict=True)
    }


def _patterns(image: np.ndarray) -> dict[str, float]:
    codes = local_binary_pattern(np.round(image * 255).astype(np.uint8), NEIGHBOURS, 1, method="uniform")
    shares = np.bincount(codes.astype(int).ravel(), minlength=NEIGHBOURS + 2) / codes.size
    return {f"lbp_{number}": float(share) for number, share in enumerate(shares)}


def _dimension(image: np.ndarray) -> float:
    """Return 3 less the exponent with which the mean difference of two pixels grows with their distance."""
    steps = [
        (np.abs(image[lag:] - image[:-lag]).mean() + np.abs(image[:, lag:] - image[:, :-lag]).mean()) / 2
        for lag in LAGS
    ]
    return float(3 - np.polyfit(np.log(LAGS), np.log(np.maximum(steps, NEVER_ZERO)), 1)[0])
