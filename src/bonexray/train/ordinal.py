"""Penalised regressions for ordered classes: cumulative logits, and the conditional logits of CORN."""

from collections.abc import Callable

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from bonexray.networks.outputs import GAP, log_sigmoid

NEVER = -30.0  # logit of what no training image shows
# Features (images, width), int labels, number of classes, weight of each image and strength of the penalty, to kernel
# (width, slopes) and bias (classes - 1,) of the logits.
Solver = Callable[[np.ndarray, np.ndarray, int, np.ndarray, float], tuple[np.ndarray, np.ndarray]]


def fit_cumulative(
    features: np.ndarray, labels: np.ndarray, classes: int, weights: np.ndarray, strength: float
) -> tuple[np.ndarray, np.ndarray]:
    """Fit cumulative logits: one slope for all thresholds, so that the odds of all are proportional.

    Minimises the mean over images of weight x negative logarithm of the probability of the image's class, plus half the
    strength times the sum of squared slopes. This is convex (Burridge 1981), so there is one minimum.

    Args:
        features: float (images, width).
        labels: int (images,), grades from 0.
        classes: number of classes; one without images gets hardly any probability.
        weights: float (images,).
        strength: strength of the penalty.

    Returns:
        Slopes (width, 1), and the intercepts (classes - 1,) of the logits of a grade above 0, above 1 and so on.

    References:
        McCullagh, J. R. Statist. Soc. B 42, 1980. Burridge, A note on maximum likelihood estimation for regression
        models using grouped data, J. R. Statist. Soc. B 43, 1981.
    """
    present, grades = np.unique(labels, return_inverse=True)
    width, cuts = features.shape[1], len(present) - 1
    if not cuts:
        return np.zeros((width, 1)), _thresholds(present, np.zeros(0), classes)
    shares = np.bincount(grades, weights) / weights.sum()
    above = shares[::-1].cumsum()[::-1][1:]
    start = np.concatenate([np.zeros(width), _to_gaps(np.log(above / (1 - above)))])
    bounds = [(None, None)] * (width + 1) + [(GAP, None)] * (cuts - 1)
    solution = minimize(
        _loss_and_gradient,
        np.clip(start, [low if low is not None else -np.inf for low, _ in bounds], None),
        (features, grades, weights, strength),
        "L-BFGS-B",
        jac=True,
        bounds=bounds,
        options={"maxiter": 2000, "maxfun": 4000, "ftol": 1e-12, "gtol": 1e-6},
    )
    return solution.x[:width, None], _thresholds(present, _from_gaps(solution.x[width:]), classes)


def fit_corn(
    features: np.ndarray, labels: np.ndarray, classes: int, weights: np.ndarray, strength: float
) -> tuple[np.ndarray, np.ndarray]:
    """Fit conditional logits: for each grade a logistic regression, among images of at least that grade, of a higher one.

    An image has the weight of its own class in all of them. Together they minimise what `fit_cumulative` minimises,
    for the probabilities of this model. Arguments are the same.

    Returns:
        Slopes (width, classes - 1) and intercepts (classes - 1,).

    References:
        Shi, Cao and Raschka, arXiv 2111.08851, 2021.
    """
    kernel, bias = np.zeros((features.shape[1], classes - 1)), np.zeros(classes - 1)
    for grade in range(classes - 1):
        rows = labels >= grade
        higher = labels[rows] > grade
        if higher.all() or not higher.any():
            bias[grade] = -NEVER if higher.any() else NEVER
            continue
        regression = LogisticRegression(C=1 / (strength * len(labels)), max_iter=2000, tol=1e-6)
        regression.fit(features[rows], higher, sample_weight=weights[rows])
        kernel[:, grade], bias[grade] = regression.coef_[0], regression.intercept_[0]
    return kernel, bias


SOLVERS: dict[str, Solver] = {"cumulative": fit_cumulative, "corn": fit_corn}


def _loss_and_gradient(
    values: np.ndarray, features: np.ndarray, grades: np.ndarray, weights: np.ndarray, strength: float
) -> tuple[float, np.ndarray]:
    """Return the loss of `fit_cumulative` and its gradient at slopes, first threshold and distances of the others."""
    width, rows = features.shape[1], np.arange(len(grades))
    slopes, bias = values[:width], _from_gaps(values[width:])
    logits = (features @ slopes)[:, None] + bias
    inner = np.zeros((2, len(bias) + 1))  # of the grades with a threshold on either side: log probability, its slope
    inner[:, 1:-1] = np.log(-np.expm1(-values[width + 1 :])), 1 / np.expm1(values[width + 1 :])
    end = np.zeros((len(grades), 1))
    logarithms = np.hstack([end, log_sigmoid(logits)]) + np.hstack([log_sigmoid(-logits), end]) + inner[0]
    by_logit = np.zeros((len(grades), len(bias) + 2))  # with one more on either side, which no threshold belongs to
    by_logit[rows, grades] = np.hstack([end, expit(-logits)])[rows, grades] + inner[1][grades]
    by_logit[rows, grades + 1] = -np.hstack([expit(logits), end])[rows, grades] - inner[1][grades]
    by_logit = by_logit[:, 1:-1] * (-weights / len(grades))[:, None]
    by_bias = by_logit.sum(axis=0)[::-1].cumsum()[::-1]
    by_bias[1:] *= -1
    loss = -(weights * logarithms[rows, grades]).mean() + strength / 2 * (slopes @ slopes)
    return loss, np.concatenate([features.T @ by_logit.sum(axis=1) + strength * slopes, by_bias])


def _to_gaps(bias: np.ndarray) -> np.ndarray:
    return np.concatenate([bias[:1], -np.diff(bias)])


def _from_gaps(values: np.ndarray) -> np.ndarray:
    return np.concatenate([values[:1], values[:1] - values[1:].cumsum()])


def _thresholds(present: np.ndarray, bias: np.ndarray, classes: int) -> np.ndarray:
    """Return the intercepts between all classes, from those between the classes with training images."""
    known = np.concatenate([[-NEVER], bias, [NEVER]])
    return known[np.searchsorted(present, np.arange(classes - 1), side="right")]
