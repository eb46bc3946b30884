"""The table of outputs: from the logits of a class layer to a probability for each class, without Keras."""

from collections.abc import Callable

import numpy as np

GAP = 1e-3  # smallest distance of two cumulative logits while they are fitted


def class_probabilities(outputs: np.ndarray) -> np.ndarray:
    """Return outputs (images, classes) of a network, or (images, 1) of a sigmoid, as probabilities (images, classes)."""
    return np.concatenate([1 - outputs, outputs], axis=1) if outputs.shape[1] == 1 else outputs


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return the probabilities of logits (images, classes); a single column is that of the second of two classes."""
    logits = np.concatenate([np.zeros_like(logits), logits], axis=1) if logits.shape[1] == 1 else logits
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def cumulative(logits: np.ndarray) -> np.ndarray:
    """Return the probabilities of cumulative logits, P(grade > k) = sigmoid(logit k).

    A probability is a difference of two sigmoids, written as a product that does not round to 0.

    Args:
        logits: float (images, classes - 1), falling from left to right.

    References:
        McCullagh, Regression Models for Ordinal Data, J. R. Statist. Soc. B 42, 1980.
    """
    end = np.zeros((len(logits), 1))
    with np.errstate(divide="ignore"):  # a grade between equal logits has no probability
        between = np.log(-np.expm1(np.diff(logits, axis=1)))
    above, not_above = np.hstack([end, log_sigmoid(logits)]), np.hstack([log_sigmoid(-logits), end])
    return np.exp(above + not_above + np.hstack([end, between, end]))


def corn(logits: np.ndarray) -> np.ndarray:
    """Return the probabilities of conditional logits, P(grade > k, given that it is at least k) = sigmoid(logit k).

    Args:
        logits: float (images, classes - 1), in any order.

    References:
        Shi, Cao and Raschka, Deep Neural Networks for Rank-Consistent Ordinal Regression Based On Conditional
        Probabilities, 2021: CORN. Fienberg, The Analysis of Cross-Classified Categorical Data, 1977: the continuation
        ratio.
    """
    end = np.zeros((len(logits), 1))
    return np.exp(np.hstack([end, log_sigmoid(logits).cumsum(axis=1)]) + np.hstack([log_sigmoid(-logits), end]))


def log_sigmoid(values: np.ndarray) -> np.ndarray:
    """Return the logarithm of the sigmoid, exact for large values of either sign."""
    return -np.logaddexp(0, -values)


# By the setting `train.output`: logits (images, logits) to probabilities (images, classes).
OUTPUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "softmax": softmax,
    "sigmoid": softmax,
    "cumulative": cumulative,
    "corn": corn,
}


def even_logits(output: str, classes: int) -> np.ndarray:
    """Return the logits (classes - 1,) at which an output for ordered classes gives all the same probability."""
    above = np.arange(classes - 1, 0, -1)
    return np.log(above / (classes - above)) if output == "cumulative" else np.log(above)


def slopes_of(output: str, classes: int) -> int:
    """Return the number of weight vectors of an output for ordered classes: cumulative logits share one."""
    return 1 if output == "cumulative" else classes - 1
