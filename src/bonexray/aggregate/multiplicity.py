"""Corrections of p values for the number of pairs."""

import numpy as np
from scipy import stats


def holm(p: np.ndarray) -> np.ndarray:
    """Return p values after Holm's correction over those that are defined; NaN stays NaN.

    References:
        Holm, Scandinavian Journal of Statistics 6, 1979.
    """
    order = np.argsort(p, kind="stable")[: np.isfinite(p).sum()]  # NaN sorts last
    corrected = np.full(len(p), np.nan)
    corrected[order] = np.minimum(1, np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)))
    return corrected


def max_t(p: np.ndarray, resampled: np.ndarray, freedom: int) -> np.ndarray:
    """Return p values after the step-down max-T correction, from statistics on shared resamples.

    The resamples give the correlation of the pairs, which Holm's correction ignores. Student's t comes from one chi
    square for all pairs, as in a multivariate t distribution, integrated exactly in each resample. Holm's p is an upper
    bound of what is estimated, and is returned where the estimate exceeds it.

    Args:
        p: float (pairs,), two-sided p of Student's t.
        resampled: float (resamples, pairs), the differences in the resamples.
        freedom: degrees of freedom of Student's t.

    Returns:
        Float (pairs,), from `p` to Holm's p.

    References:
        Westfall and Young, Resampling-Based Multiple Testing, 1993, algorithm 2.8. Hothorn, Bretz and Westfall,
        Simultaneous Inference in General Parametric Models, Biometrical Journal 50, 2008.
    """
    if not len(p):
        return p.copy()
    spread = resampled.std(axis=0, ddof=1)
    scale = np.where(spread > 1e-9, spread, np.inf)  # a difference that does not vary exceeds nothing
    largest = np.abs((resampled - resampled.mean(axis=0)) / scale)
    order = np.argsort(p, kind="stable")
    largest = np.maximum.accumulate(largest[:, order[::-1]], axis=1)[:, ::-1]  # over the pairs not yet rejected
    statistic = stats.t.isf(p[order] / 2, freedom)
    with np.errstate(divide="ignore", invalid="ignore"):
        square = np.where(statistic > 0, freedom * (largest / statistic) ** 2, np.inf)
    corrected = np.empty(len(p))
    corrected[order] = np.maximum.accumulate(stats.chi2.cdf(square, freedom).mean(axis=0))
    return np.clip(corrected, p, holm(p))
