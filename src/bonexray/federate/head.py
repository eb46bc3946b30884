"""The part of the training that happens at a site: a few steps on its own images, for every penalty at once."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits

from bonexray.networks.scaling import mean_and_std


@dataclass(frozen=True, eq=False)
class Task:
    """A loss of a site's training images.

    Attributes:
        features: float64 (images, width), standardised.
        labels: int (images,).
        weights: float (images,), of each image in the mean.
        strengths: of the penalty, one for each candidate: half of it times the sum of squared coefficients is added.
        mu: of the proximal term: half of it times the squared distance to the weights of the beginning is added.
    """

    features: np.ndarray
    labels: np.ndarray
    weights: np.ndarray
    strengths: np.ndarray
    mu: float


def local_steps(kernels: np.ndarray, biases: np.ndarray, task: Task, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the weights of every candidate after a few iterations of L-BFGS on a site's images.

    Args:
        kernels: float64 (candidates, width, classes).
        biases: float64 (candidates, classes).
        task: the loss.
        steps: number of iterations.

    Returns:
        Two arrays of the shapes of the first two arguments; NaN where the loss is not finite.
    """
    done = []
    with threadpool_limits(1):  # the same bytes on any number of cores
        for strength, kernel, bias in zip(task.strengths, kernels, biases, strict=True):
            start = np.concatenate([kernel, bias[None]]).ravel()
            found = minimize(
                _loss, start, (start, task, float(strength)), "L-BFGS-B", jac=True, options={"maxiter": steps}
            )
            # Where the loss is not finite the solver stays at its beginning, which must not pass for an answer.
            done.append(
                found.x.reshape(-1, len(bias))
                if np.isfinite(found.fun)
                else np.full((len(kernel) + 1, len(bias)), np.nan)
            )
    whole = np.stack(done)
    return whole[:, :-1], whole[:, -1]


def log_losses(kernels: np.ndarray, biases: np.ndarray, features: np.ndarray, labels: np.ndarray) -> list[float]:
    """Return the mean log loss of every candidate on some images, at most that of a probability of 1e-7."""
    with threadpool_limits(1):
        logs = [_log_probabilities(features @ k + b) for k, b in zip(kernels, biases, strict=True)]
    return [float(-np.maximum(log[np.arange(len(labels)), labels], np.log(1e-7)).mean()) for log in logs]


def moments(features: np.ndarray) -> dict[str, np.ndarray]:
    """Return the mean of each feature and of its square, float64 (width,)."""
    return {"mean": features.mean(axis=0), "square": (features**2).mean(axis=0)}


def scaling_of_moments(mean: np.ndarray, square: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of each feature over all sites, float32, as the head keeps them."""
    deviation = np.sqrt(np.maximum(square - mean**2, 0))
    mean, std = mean_and_std(
        [np.stack([mean - deviation, mean + deviation])]
    )  # which keeps a deviation from being tiny
    return mean.astype(np.float32), std.astype(np.float32)


def _loss(flat: np.ndarray, start: np.ndarray, task: Task, strength: float) -> tuple[float, np.ndarray]:
    """Return the loss of a site and its gradient, for scipy."""
    whole, images = flat.reshape(task.features.shape[1] + 1, -1), np.arange(len(task.labels))
    kernel, bias = whole[:-1], whole[-1]
    logs, weights = _log_probabilities(task.features @ kernel + bias), task.weights / len(task.labels)
    errors = np.exp(logs)
    errors[images, task.labels] -= 1
    errors *= weights[:, None]
    gradient = np.concatenate([task.features.T @ errors + strength * kernel, errors.sum(axis=0)[None]]).ravel()
    away = flat - start
    loss = -(weights * logs[images, task.labels]).sum() + strength / 2 * (kernel**2).sum() + task.mu / 2 * away @ away
    return float(loss), gradient + task.mu * away


def _log_probabilities(scores: np.ndarray) -> np.ndarray:
    scores = scores - scores.max(axis=1, keepdims=True)
    return scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
