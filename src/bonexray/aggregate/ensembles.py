"""Ensembles of models; whatever is fitted is fitted on validation, never on test."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from threadpoolctl import threadpool_limits

from bonexray.evaluate.prior import Learned

SMALLEST = 1e-6  # avoids the logarithm of 0
TOLERANCE = 1e-7  # distance from the best log loss
STEPS = 20_000
TIE_WEIGHT = 1e-6  # far less than a vote
STRENGTHS = (0.001, 0.01, 0.1, 1.0, 10.0)  # scikit-learn's C: smaller regularises more
FOLDS = 5


@dataclass(frozen=True, eq=False)
class Ensemble:
    """A fitted ensemble.

    Args:
        predict: maps float (models, images, classes) to float (images, classes), whose rows sum to 1.
        parameters: fitted parameters, as plain JSON.
    """

    predict: Callable[[np.ndarray], np.ndarray]
    parameters: dict[str, float | list] = field(default_factory=dict)


Fit = Callable[[np.ndarray, np.ndarray, np.ndarray], Ensemble]


def mean(_labels: np.ndarray, _groups: np.ndarray, _probabilities: np.ndarray) -> Ensemble:
    """Average the members' probabilities."""
    return Ensemble(lambda probabilities: probabilities.mean(axis=0))


def majority(_labels: np.ndarray, _groups: np.ndarray, _probabilities: np.ndarray) -> Ensemble:
    """Return the share of members that predict each class; the mean probability breaks ties.

    The mean probability has a weight of `TIE_WEIGHT`, so no share changes by more.
    """

    def predict(probabilities: np.ndarray) -> np.ndarray:
        votes = np.eye(probabilities.shape[2])[probabilities.argmax(axis=2)].mean(axis=0)
        return (1 - TIE_WEIGHT) * votes + TIE_WEIGHT * probabilities.mean(axis=0)

    return Ensemble(predict)


def weighted(labels: np.ndarray, _groups: np.ndarray, probabilities: np.ndarray) -> Ensemble:
    """Fit a weighted mean: non-negative weights that sum to 1, with the lowest log loss on validation.

    The problem is convex. Starting from equal weights, expectation maximisation raises the likelihood at every step. It
    stops when the loss is within `TOLERANCE` of the optimum, or after `STEPS` steps.

    References:
        Dempster, Laird and Rubin, Journal of the Royal Statistical Society B 39, 1977.
    """
    of_truth = np.maximum(probabilities[:, np.arange(len(labels)), labels], SMALLEST)
    weights = np.full(len(of_truth), 1 / len(of_truth))
    for _ in range(STEPS):
        gain = (of_truth / (weights @ of_truth)).mean(axis=1)
        if gain.max() - 1 < TOLERANCE:  # bounds the distance from the optimum on the simplex
            break
        weights = weights * gain
        weights /= weights.sum()
    return Ensemble(
        lambda members: np.tensordot(weights, members, axes=1), {"weights": [float(weight) for weight in weights]}
    )


def stacking(labels: np.ndarray, groups: np.ndarray, probabilities: np.ndarray) -> Ensemble:
    """Fit a logistic regression on the members' log probabilities.

    Its regularisation is chosen from `STRENGTHS` by the log loss on held-out groups of validation. A class without
    validation images keeps the members' mean probability; the other classes share the rest.

    References:
        Wolpert, Stacked Generalization, Neural Networks 5, 1992.
    """
    features = _features(probabilities)
    strength = _chosen_strength(labels, groups, probabilities, features)
    classes, coefficients, intercept = _logistic(labels, features, strength)

    def predict(members: np.ndarray) -> np.ndarray:
        return _stacked(members, _features(members), classes, coefficients, intercept)

    return Ensemble(
        predict,
        {
            "regularization_c": strength,
            "classes": classes.tolist(),
            "coefficients": coefficients.tolist(),
            "intercept": intercept.tolist(),
        },
    )


ENSEMBLES: dict[str, Fit] = {"mean": mean, "weighted": weighted, "majority": majority, "stacking": stacking}


def learned_by(kind: str, members: Learned) -> Learned:
    """Return the prior that an ensemble has learned, from that of its members, whose own probabilities it combines.

    The intercept of stacking is fitted to validation, and with it the class shares there.
    """
    return "val" if kind == "stacking" else members


def fit_ensemble(kind: str, labels: np.ndarray, groups: np.ndarray, probabilities: np.ndarray) -> Ensemble:
    """Fit an ensemble on validation.

    Args:
        kind: name in `ENSEMBLES`.
        labels: int (images,), indices of the class map.
        groups: (images,), the same value for images of one patient.
        probabilities: float (models, images, classes); at least one model.
    """
    return ENSEMBLES[kind](labels, groups, probabilities)


def held_out_predictions(kind: str, labels: np.ndarray, groups: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return the predictions for the validation images of ensembles that were fitted without the image's group.

    A temperature fitted on them suits new images; fitted on the images that the ensemble was fitted on, it would leave
    probabilities too extreme. A single group cannot be held out; the predictions are then those of the ensemble itself.

    Args:
        kind: name in `ENSEMBLES`.
        labels: int (images,), indices of the class map.
        groups: (images,), the same value for images of one patient.
        probabilities: float (models, images, classes).

    Returns:
        Float (images, classes).

    References:
        Stone, Cross-Validatory Choice and Assessment of Statistical Predictions, JRSS B 36, 1974.
    """
    folds, found = min(FOLDS, len(np.unique(groups))), np.zeros(probabilities.shape[1:])
    if folds < 2:
        return fit_ensemble(kind, labels, groups, probabilities).predict(probabilities)
    for train, held_out in GroupKFold(folds).split(labels, labels, groups):
        fitted = fit_ensemble(kind, labels[train], groups[train], probabilities[:, train])
        found[held_out] = fitted.predict(probabilities[:, held_out])
    return found


def _features(probabilities: np.ndarray) -> np.ndarray:
    """Return float (images, models x classes): log probabilities, centred for each member."""
    logs = np.log(np.maximum(probabilities, SMALLEST))
    centred = logs - logs.mean(axis=2, keepdims=True)
    return centred.transpose(1, 0, 2).reshape(probabilities.shape[1], -1)


def _logistic(labels: np.ndarray, features: np.ndarray, strength: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the classes with images, and the coefficients (classes, features) and intercept (classes,) of logits."""
    present = np.unique(labels)
    if len(present) == 1:
        return present, np.zeros((1, features.shape[1])), np.zeros(1)
    with threadpool_limits(1):  # faster for so little work, and the same digits on every machine
        fitted = LogisticRegression(C=strength, solver="newton-cholesky", max_iter=100, tol=1e-6).fit(features, labels)
    coefficients, intercept = fitted.coef_, fitted.intercept_
    if len(present) == 2:  # scikit-learn fits one logit, of the second class over the first
        coefficients, intercept = np.vstack([np.zeros_like(coefficients), coefficients]), np.append(0, intercept)
    return present, coefficients, intercept


def _stacked(
    members: np.ndarray, features: np.ndarray, classes: np.ndarray, coefficients: np.ndarray, intercept: np.ndarray
) -> np.ndarray:
    logits = features @ coefficients.T + intercept
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = members.mean(axis=0)
    shared = probabilities[:, classes].sum(axis=1, keepdims=True)
    # scipy.special.softmax times `shared` rounds differently, and scores must not change.
    probabilities[:, classes] = shared * powers / powers.sum(axis=1, keepdims=True)
    return probabilities


def _chosen_strength(labels: np.ndarray, groups: np.ndarray, probabilities: np.ndarray, features: np.ndarray) -> float:
    """Return the strength with the lowest log loss on held-out groups; the first one if there is a single group."""
    folds = min(FOLDS, len(np.unique(groups)))
    if folds < 2:
        return STRENGTHS[0]
    losses = np.zeros(len(STRENGTHS))
    for train, held_out in GroupKFold(folds).split(features, labels, groups):
        for index, strength in enumerate(STRENGTHS):
            fitted = _logistic(labels[train], features[train], strength)
            stacked = _stacked(probabilities[:, held_out], features[held_out], *fitted)
            of_truth = stacked[np.arange(len(held_out)), labels[held_out]]
            losses[index] -= np.log(np.maximum(of_truth, SMALLEST)).sum()
    return STRENGTHS[int(losses.argmin())]
