"""The part of the training that happens at a site: a few steps on its own images, for every penalty at once."""

from dataclasses import dataclass
from functools import cached_property

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

    @cached_property
    def basis(self) -> np.ndarray:
        """Return an orthonormal basis of the space that the images span, float64 (dimensions, width)."""
        return np.linalg.svd(self.features, full_matrices=False)[2]

    @cached_property
    def spanned(self) -> np.ndarray:
        """Return the features in that basis, float64 (images, dimensions)."""
        return self.features @ self.basis.T


def local_steps(kernels: np.ndarray, biases: np.ndarray, task: Task, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the weights of every candidate after a few iterations of L-BFGS on a site's images.

    The loss depends on the part of the weights that the images do not span through its length alone. The iterations
    therefore need only one number for it, which makes them several times faster and changes nothing.

    Args:
        kernels: float64 (candidates, width, classes).
        biases: float64 (candidates, classes).
        task: the loss.
        steps: number of iterations.

    Returns:
        Two arrays of the shapes of the first two arguments; NaN where the loss is not finite.
    """
    if not np.isfinite(task.features).all():
        return np.full_like(kernels, np.nan), np.full_like(biases, np.nan)
    with threadpool_limits(1):  # the same bytes on any number of cores
        parts = [
            _steps_of(kernel, bias, task, float(strength), steps)
            for strength, kernel, bias in zip(task.strengths, kernels, biases, strict=True)
        ]
    return tuple(np.stack(arrays) for arrays in zip(*parts, strict=True))


def _steps_of(
    kernel: np.ndarray, bias: np.ndarray, task: Task, strength: float, steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the weights of one candidate; see `local_steps`."""
    inside = task.basis @ kernel
    outside = kernel - task.basis.T @ inside
    length = np.linalg.norm(outside)
    start = np.concatenate([inside.ravel(), bias, [length]])
    found = minimize(_loss, start, (start, task, strength), "L-BFGS-B", jac=True, options={"maxiter": steps}).x
    inside = found[: inside.size].reshape(inside.shape)
    rest = outside * (found[-1] / length) if length > 0 else outside
    return task.basis.T @ inside + rest, found[inside.size : -1]


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
    """Return the loss of a site and its gradient, for scipy.

    Args:
        flat: kernel within the space that the images span, bias, and the length of the kernel outside of it.
        start: the same of the beginning.
        task: the loss.
        strength: of the penalty.
    """
    size, images = task.spanned.shape[1], np.arange(len(task.labels))
    classes = (len(flat) - 1) // (size + 1)
    kernel, bias = flat[: size * classes].reshape(size, classes), flat[size * classes : -1]
    logs, weights = _log_probabilities(task.spanned @ kernel + bias), task.weights / len(task.labels)
    errors = np.exp(logs)
    errors[images, task.labels] -= 1
    errors *= weights[:, None]
    penalised = flat.copy()
    penalised[size * classes : -1] = 0  # the bias
    gradient = np.concatenate([(task.spanned.T @ errors).ravel(), errors.sum(axis=0), [0.0]])
    away = flat - start
    loss = (
        -(weights * logs[images, task.labels]).sum() + strength / 2 * penalised @ penalised + task.mu / 2 * away @ away
    )
    return float(loss), gradient + strength * penalised + task.mu * away


def _log_probabilities(scores: np.ndarray) -> np.ndarray:
    scores = scores - scores.max(axis=1, keepdims=True)
    return scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
