"""A linear head: a penalised multinomial logistic regression on standardised features."""

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

from bonexray.networks.heads import STANDARDIZE, class_probabilities
from bonexray.train.batches import Batches

CLASSES = "classes"
STRENGTHS = (
    0.3,
    1.0,
    3.0,
    10.0,
    30.0,
    100.0,
    1000.0,
    10_000.0,
)  # from hardly penalised to nearly the shares of the classes


@dataclass(frozen=True)
class LinearFit:
    """A regression of one strength.

    Attributes:
        strength: weight of the squared coefficients beside the mean log loss of an image, halved.
        val_log_loss: mean log loss on validation.
        weights: (features, classes) and (classes,), or (features, 1) and (1,) for a sigmoid.
    """

    strength: float
    val_log_loss: float
    weights: tuple[np.ndarray, np.ndarray]


def fit_linear(
    head: keras.Model,
    train: Batches,
    val: Batches,
    class_weight: dict[int, float] | None,
    strengths: Sequence[float] = STRENGTHS,
) -> list[LinearFit]:
    """Fit a regression of every strength and leave in the head the one with the lowest log loss on validation.

    A penalised regression depends on the features through their inner products alone, so it is solved in the space that
    the training images span, at most one dimension an image: exact, and fast for thousands of features (Hastie and
    Tibshirani, Efficient quadratic regularization for expression arrays, Biostatistics 2004).

    Args:
        head: an adapted head of kind `linear`.
        train: batches of the training split.
        val: batches of the validation split.
        class_weight: weight of each class in the loss, or None.
        strengths: the candidates.

    Returns:
        The fits, in the order of the candidates.
    """
    (features, targets), (held_out, answers) = arrays_of(head, train), arrays_of(head, val)
    labels = targets.argmax(axis=1) if targets.shape[1] > 1 else targets[:, 0].astype(int)
    _, _, basis = np.linalg.svd(features, full_matrices=False)
    fits = []
    for strength in strengths:
        regression = LogisticRegression(
            C=1 / (strength * len(labels)), class_weight=class_weight, max_iter=2000, tol=1e-6
        ).fit(features @ basis.T, labels)
        weights = _weights(regression, basis, targets.shape[1])
        head.get_layer(CLASSES).set_weights(weights)
        fits.append(LinearFit(strength, log_loss_of(weights, held_out, answers), weights))
    head.get_layer(CLASSES).set_weights(min(fits, key=lambda fit: fit.val_log_loss).weights)
    return fits


def log_loss_of(weights: tuple[np.ndarray, np.ndarray], features: np.ndarray, targets: np.ndarray) -> float:
    """Return the mean log loss of a layer's weights on standardised features."""
    answers = probabilities_of(weights, features)
    wanted = class_probabilities(targets)
    return float(-np.log(np.maximum((answers * wanted).sum(axis=1), 1e-7)).mean())


def probabilities_of(weights: tuple[np.ndarray, np.ndarray], features: np.ndarray) -> np.ndarray:
    """Return the class probabilities (images, classes) of a layer's weights on standardised features."""
    scores = features @ weights[0] + weights[1]
    scores = np.concatenate([np.zeros_like(scores), scores], axis=1) if scores.shape[1] == 1 else scores
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def metrics_of(head: keras.Model, fit: LinearFit, train: Batches, val: Batches) -> dict[str, float]:
    """Return the columns of a history: of training and validation the loss, with the penalty, accuracy and log loss."""
    metrics, penalty = {}, fit.strength / 2 * float((fit.weights[0] ** 2).sum())
    for prefix, batches in (("", train), ("val_", val)):
        features, targets = arrays_of(head, batches)
        plain = log_loss_of(fit.weights, features, targets)
        hits = probabilities_of(fit.weights, features).argmax(axis=1) == class_probabilities(targets).argmax(axis=1)
        metrics |= {
            f"{prefix}loss": plain + penalty,
            f"{prefix}accuracy": float(hits.mean()),
            f"{prefix}log_loss": plain,
        }
    return {**metrics, "learning_rate": 0.0, "strength": fit.strength}


def candidates_of(history: pd.DataFrame) -> dict[str, object]:
    """Return the strengths with their validation log losses and the chosen one; nothing for a head of another kind."""
    if "strength" not in history:
        return {}
    rows = history.dropna(subset="strength")
    best = rows.loc[rows["val_log_loss"].idxmin(), "strength"]
    return {"candidates": rows[["strength", "val_log_loss"]].to_dict("records"), "strength": float(best)}


def arrays_of(head: keras.Model, batches: Batches) -> tuple[np.ndarray, np.ndarray]:
    """Return the features (images, width) as the head's last layer gets them, and the targets."""
    pairs = [batches[number] for number in range(len(batches))]
    inputs = [np.concatenate(x, axis=1) if isinstance(x, tuple) else x for x, _ in pairs]
    features = np.concatenate(inputs).astype(np.float64)
    if STANDARDIZE in {layer.name for layer in head.layers}:
        mean, std = (np.asarray(w, np.float64) for w in head.get_layer(STANDARDIZE).get_weights())
        features = (features - mean) / std
    return features, np.concatenate([targets for _, targets in pairs])


def _weights(regression: LogisticRegression, basis: np.ndarray, outputs: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the coefficients as a dense layer has them; a class without training images gets no probability."""
    kernel, bias = (regression.coef_ @ basis).T, regression.intercept_
    if outputs == 1:
        return kernel, bias
    if len(regression.classes_) == 2:  # scikit-learn gives the second class's score against the first's
        kernel, bias = np.concatenate([-kernel / 2, kernel / 2], axis=1), np.concatenate([-bias / 2, bias / 2])
    whole, shift = np.zeros((len(kernel), outputs)), np.full(outputs, -30.0)
    whole[:, regression.classes_], shift[regression.classes_] = kernel, bias
    return whole, shift
