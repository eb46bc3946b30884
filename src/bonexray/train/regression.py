"""A penalised logistic regression, of classes or of ordered classes, its penalty chosen on validation, without Keras."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.utils.class_weight import compute_sample_weight
from threadpoolctl import threadpool_limits

from bonexray.networks.outputs import OUTPUTS
from bonexray.train.candidates import choice_of
from bonexray.train.ordinal import NEVER, SOLVERS

# From hardly any penalty to one so strong that predictions are nearly the class shares.
STRENGTHS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 1000.0, 10_000.0)


@dataclass(frozen=True)
class LinearFit:
    """A regression with one strength of the penalty.

    Attributes:
        strength: half of it times the sum of squared coefficients is added to the mean log loss.
        val_log_loss: mean log loss on validation.
        weights: (features, classes) and (classes,), or (features, 1) and (1,) for a sigmoid; of ordered classes as
            `Solver` returns them.
        output: key of `OUTPUTS`.
    """

    strength: float
    val_log_loss: float
    weights: tuple[np.ndarray, np.ndarray]
    output: str = "softmax"


@dataclass(frozen=True)
class Labelled:
    """Standardised features with the classes of their images.

    Attributes:
        features: float (images, width).
        wanted: target probability of each class, float (images, classes).
    """

    features: np.ndarray
    wanted: np.ndarray


def fit_strengths(
    train: Labelled,
    val: Labelled,
    classes: int,
    class_weight: Mapping[int, float] | str | None,
    strengths: Sequence[float] = STRENGTHS,
    output: str = "softmax",
) -> list[LinearFit]:
    """Fit a regression with every strength of the penalty.

    A penalised regression depends on the features through their inner products alone, so it is solved in the space that
    the training images span, with at most one dimension per image. This is exact, and fast for thousands of features
    (Hastie and Tibshirani, Efficient quadratic regularization for expression arrays, Biostatistics 2004).

    Args:
        train: the training split.
        val: the validation split.
        classes: number of classes.
        class_weight: weight of each class in the loss; `balanced` or None as in scikit-learn.
        strengths: the candidates.
        output: key of `OUTPUTS`.

    Returns:
        The fits, in the order of the candidates.
    """
    labels, fits = train.wanted.argmax(axis=1), []
    with threadpool_limits(1):  # several times faster: threads would wait for each other at every step of the solver
        _, _, basis = np.linalg.svd(train.features, full_matrices=False)
        spanned = train.features @ basis.T
        for strength in strengths:
            if solve := SOLVERS.get(output):
                kernel, bias = solve(spanned, labels, classes, compute_sample_weight(class_weight, labels), strength)
                weights = basis.T @ kernel, bias
            else:
                regression = LogisticRegression(
                    C=1 / (strength * len(labels)), class_weight=class_weight, max_iter=2000, tol=1e-6
                ).fit(spanned, labels)
                weights = _weights(regression, basis, 1 if output == "sigmoid" else classes)
            fits.append(LinearFit(strength, log_loss_of(weights, val, output), weights, output))
    return fits


def choice_among(fits: Sequence[LinearFit]) -> dict[str, object]:
    """Describe the choice of a strength for model.json; see `choice_of`."""
    return choice_of([{"strength": fit.strength} for fit in fits], [fit.val_log_loss for fit in fits])


def best_of(fits: Sequence[LinearFit]) -> LinearFit:
    """Return the fit with the lowest log loss on validation."""
    return min(fits, key=lambda fit: fit.val_log_loss)


def log_loss_of(weights: tuple[np.ndarray, np.ndarray], data: Labelled, output: str = "softmax") -> float:
    """Return the mean log loss of a layer with these weights."""
    probabilities = probabilities_of(weights, data.features, output)
    return float(-np.log(np.maximum((probabilities * data.wanted).sum(axis=1), 1e-7)).mean())


def probabilities_of(
    weights: tuple[np.ndarray, np.ndarray], features: np.ndarray, output: str = "softmax"
) -> np.ndarray:
    """Return the class probabilities (images, classes) of a layer with these weights on standardised features."""
    return OUTPUTS[output](features @ weights[0] + weights[1])


def metrics_of(fit: LinearFit, train: Labelled, val: Labelled) -> dict[str, float]:
    """Return a row of a history: loss (with penalty), accuracy and log loss, on training and validation."""
    metrics, penalty = {}, fit.strength / 2 * float((fit.weights[0] ** 2).sum())
    for prefix, data in (("", train), ("val_", val)):
        plain = log_loss_of(fit.weights, data, fit.output)
        hits = probabilities_of(fit.weights, data.features, fit.output).argmax(axis=1) == data.wanted.argmax(axis=1)
        metrics |= {
            f"{prefix}loss": plain + penalty,
            f"{prefix}accuracy": float(hits.mean()),
            f"{prefix}log_loss": plain,
        }
    return {**metrics, "learning_rate": 0.0, "strength": fit.strength}


def _weights(regression: LogisticRegression, basis: np.ndarray, outputs: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the coefficients in the form of a dense layer; a class without training images gets no probability."""
    kernel, bias = (regression.coef_ @ basis).T, regression.intercept_
    if outputs == 1:
        return kernel, bias
    if len(regression.classes_) == 2:  # scikit-learn gives the second class's score against the first's
        kernel, bias = np.concatenate([-kernel / 2, kernel / 2], axis=1), np.concatenate([-bias / 2, bias / 2])
    whole, shift = np.zeros((len(kernel), outputs)), np.full(outputs, NEVER)
    whole[:, regression.classes_], shift[regression.classes_] = kernel, bias
    return whole, shift
