"""Several models' probabilities made into one answer; what has to be fitted is fitted on validation, never on test."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from threadpoolctl import threadpool_limits

SMALLEST = 1e-6  # a member's probability of 0 has no logarithm
CLOSE_ENOUGH = 1e-7  # of the best log loss
STEPS = 20_000
TIE = 1e-6  # far less than a vote
STRENGTHS = (0.001, 0.01, 0.1, 1.0, 10.0)  # scikit-learn's C: small is cautious
FOLDS = 5


@dataclass(frozen=True, eq=False)
class Ensemble:
    """A fitted ensemble.

    Args:
        answer: from float (models, images, classes) to (images, classes), whose rows sum to 1.
        parameters: what was fitted, as plain JSON.
    """

    answer: Callable[[np.ndarray], np.ndarray]
    parameters: dict[str, float | list] = field(default_factory=dict)


Fit = Callable[[np.ndarray, np.ndarray, np.ndarray], Ensemble]


def mean(_labels: np.ndarray, _groups: np.ndarray, _probabilities: np.ndarray) -> Ensemble:
    """The plain mean of the members' probabilities."""
    return Ensemble(lambda probabilities: probabilities.mean(axis=0))


def majority(_labels: np.ndarray, _groups: np.ndarray, _probabilities: np.ndarray) -> Ensemble:
    """The share of members that answer each class; equal shares are told apart by the mean probability.

    The mean probability enters with a weight of `TIE`, so that no share changes by more.
    """

    def answer(probabilities: np.ndarray) -> np.ndarray:
        votes = np.eye(probabilities.shape[2])[probabilities.argmax(axis=2)].mean(axis=0)
        return (1 - TIE) * votes + TIE * probabilities.mean(axis=0)

    return Ensemble(answer)


def weighted(labels: np.ndarray, _groups: np.ndarray, probabilities: np.ndarray) -> Ensemble:
    """The mean with the weights, none negative and of sum 1, that have the least log loss on validation.

    The problem is convex. Expectation maximisation raises the likelihood at every step from equal weights on, and ends
    when the loss is within `CLOSE_ENOUGH` of the best there is, or after `STEPS` steps.

    References:
        Dempster, Laird and Rubin, Journal of the Royal Statistical Society B 39, 1977.
    """
    given = np.maximum(probabilities[:, np.arange(len(labels)), labels], SMALLEST)
    weights = np.full(len(given), 1 / len(given))
    for _ in range(STEPS):
        gain = (given / (weights @ given)).mean(axis=1)
        if gain.max() - 1 < CLOSE_ENOUGH:  # no loss on the simplex is lower by more than this
            break
        weights = weights * gain
        weights /= weights.sum()
    return Ensemble(
        lambda answers: np.tensordot(weights, answers, axes=1), {"weights": [float(weight) for weight in weights]}
    )


def stacking(labels: np.ndarray, groups: np.ndarray, probabilities: np.ndarray) -> Ensemble:
    """Logistic regression on the members' log probabilities.

    How strongly it is regularised is chosen from `STRENGTHS` by log loss on held-out groups of validation. A class
    without validation images keeps the members' mean probability, and the others share the rest.

    References:
        Wolpert, Stacked Generalization, Neural Networks 5, 1992.
    """
    features = _features(probabilities)
    strength = _chosen_strength(labels, groups, probabilities, features)
    classes, coefficients, intercept = _logistic(labels, features, strength)

    def answer(answers: np.ndarray) -> np.ndarray:
        return _stacked(answers, _features(answers), classes, coefficients, intercept)

    return Ensemble(
        answer,
        {
            "regularization_c": strength,
            "classes": classes.tolist(),
            "coefficients": coefficients.tolist(),
            "intercept": intercept.tolist(),
        },
    )


ENSEMBLES: dict[str, Fit] = {"mean": mean, "weighted": weighted, "majority": majority, "stacking": stacking}


def fit_ensemble(kind: str, labels: np.ndarray, groups: np.ndarray, probabilities: np.ndarray) -> Ensemble:
    """Fit one of `ENSEMBLES` on validation.

    Args:
        kind: its name.
        labels: int (images,), places in the class map.
        groups: (images,), equal values are one patient.
        probabilities: float (models, images, classes); one model is enough.
    """
    return ENSEMBLES[kind](labels, groups, probabilities)


def _features(probabilities: np.ndarray) -> np.ndarray:
    """Float (images, models x classes): log probabilities about the mean of each member's."""
    logs = np.log(np.maximum(probabilities, SMALLEST))
    centred = logs - logs.mean(axis=2, keepdims=True)
    return centred.transpose(1, 0, 2).reshape(probabilities.shape[1], -1)


def _logistic(labels: np.ndarray, features: np.ndarray, strength: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The classes that are there, coefficients (classes, features) and intercept (classes,) of their logits."""
    present = np.unique(labels)
    if len(present) == 1:
        return present, np.zeros((1, features.shape[1])), np.zeros(1)
    with threadpool_limits(1):  # so little work is done faster alone, and to the same digits on any machine
        fitted = LogisticRegression(C=strength, max_iter=10_000, tol=1e-5).fit(features, labels)
    coefficients, intercept = fitted.coef_, fitted.intercept_
    if len(present) == 2:  # scikit-learn gives the second class's logit over the first
        coefficients, intercept = np.vstack([np.zeros_like(coefficients), coefficients]), np.append(0, intercept)
    return present, coefficients, intercept


def _stacked(
    answers: np.ndarray, features: np.ndarray, classes: np.ndarray, coefficients: np.ndarray, intercept: np.ndarray
) -> np.ndarray:
    logits = features @ coefficients.T + intercept
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    found = answers.mean(axis=0)
    shared = found[:, classes].sum(axis=1, keepdims=True)
    found[:, classes] = shared * powers / powers.sum(axis=1, keepdims=True)
    return found


def _chosen_strength(labels: np.ndarray, groups: np.ndarray, probabilities: np.ndarray, features: np.ndarray) -> float:
    """The strength of least log loss on groups it was not fitted on; the most cautious where there is one group."""
    folds = min(FOLDS, len(np.unique(groups)))
    if folds < 2:
        return STRENGTHS[0]
    losses = np.zeros(len(STRENGTHS))
    for fit, held in GroupKFold(folds).split(features, labels, groups):
        for place, strength in enumerate(STRENGTHS):
            found = _stacked(probabilities[:, held], features[held], *_logistic(labels[fit], features[fit], strength))
            given = found[np.arange(len(held)), labels[held]]
            losses[place] -= np.log(np.maximum(given, SMALLEST)).sum()
    return STRENGTHS[int(losses.argmin())]
