"""Scores of a model on a split, from labels and probabilities.

Every score is computed for weighted images: weights of 1 give the score itself, and bootstrap weights give its value in
each resample. Undefined scores are NaN: the recall of a class without images; the precision of a class without images
that is never predicted; the ROC area and average precision of a class without positive or negative images; kappa when
all images and predictions are of one class. The precision of a class that has images but is never predicted is 0. Means
over classes include the classes with images; the mean ROC area and average precision need images of every class.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from sklearn.metrics import confusion_matrix

from bonexray.evaluate.ranking_metrics import average_precision, roc_area
from bonexray.evaluate.sample import Sample, ratio
from bonexray.evaluate.score_names import ClassScore, Name

Scores = Iterator[tuple[Name, np.ndarray]]
Metric = Callable[[Sample], Scores]


def overall(sample: Sample) -> Scores:
    """Yield accuracy and balanced accuracy, the mean recall over the classes with images (Brodersen 2010)."""
    right = np.diagonal(sample.confusion, axis1=1, axis2=2)
    recall = ratio(right, sample.confusion.sum(axis=2))
    yield "accuracy", right.sum(axis=1) / sample.total
    yield "balanced_accuracy", _mean_of_present(recall, sample)


def likelihood(sample: Sample) -> Scores:
    """Yield log loss and Brier score.

    The Brier score is the mean over images of the sum over classes of (probability - truth)², in [0, 2] (Brier 1950);
    for two classes that is twice scikit-learn's. Log loss clips probabilities at the precision of a float, as
    scikit-learn does.
    """
    of_truth = sample.probabilities[np.arange(len(sample.labels)), sample.labels]
    tiny = np.finfo(float).eps
    yield "log_loss", sample.mean(-np.log(np.clip(of_truth, tiny, 1 - tiny)))
    truth = np.eye(len(sample.classes))[sample.labels]
    yield "brier", sample.mean(((sample.probabilities - truth) ** 2).sum(axis=1))


def averages(sample: Sample) -> Scores:
    """Yield precision, recall, F1 and specificity, averaged over classes, unweighted and weighted by class size."""
    share = sample.confusion.sum(axis=2) / sample.total[:, None]
    for name, values in _rates(sample).items():
        yield f"macro_{name}", _mean_of_present(values, sample)
        yield f"weighted_{name}", np.where(share > 0, share * values, 0).sum(axis=1)


def agreement(sample: Sample) -> Scores:
    """Yield Cohen's kappa, Matthews' correlation (Gorodkin 2004) and, for ordered classes, errors in grades.

    Predicting one class for every image gives a kappa and a correlation of 0. If all images are of one class, the
    correlation is NaN; kappa is NaN only if every prediction is of that class too. Quadratic kappa weights an error by
    the square of its distance in grades.
    """
    grades = np.arange(len(sample.classes))
    distance = np.abs(grades[:, None] - grades)
    yield "cohen_kappa", _kappa(sample, (distance > 0).astype(float))
    yield "matthews_correlation", _correlation(sample)
    if sample.ordered:
        yield "quadratic_weighted_kappa", _kappa(sample, distance**2.0)
        yield "mean_absolute_grade_error", sample.mean(np.abs(sample.predicted - sample.labels).astype(float))


def discrimination(sample: Sample) -> Scores:
    """Yield ROC AUC and average precision of each class against the rest, and their unweighted means."""
    for mean, name, area in (
        ("roc_auc", "roc_auc", roc_area),
        ("macro_average_precision", "average_precision", average_precision),
    ):
        areas = [area(sample.weights, sample.labels == c, score) for c, score in enumerate(sample.probabilities.T)]
        yield mean, np.mean(areas, axis=0)
        yield from ((ClassScore(name, label), values) for label, values in zip(sample.classes, areas, strict=True))


def per_class(sample: Sample) -> Scores:
    """Yield precision, recall (sensitivity), F1 and specificity of each class."""
    for name, values in _rates(sample).items():
        yield from ((ClassScore(name, label), values[:, c]) for c, label in enumerate(sample.classes))


METRICS: list[Metric] = [overall, likelihood, averages, agreement, discrimination, per_class]
OF_PROBABILITIES: list[Metric] = [likelihood]  # scores of the probabilities themselves, which depend on their prior


def all_metrics(
    labels: np.ndarray,
    probabilities: np.ndarray,
    classes: list[str],
    ordered: bool = False,
    corrected: np.ndarray | None = None,
) -> dict[Name, float]:
    """Return every score in `METRICS`, and the number of images of each class as `support`.

    Args:
        labels: int (images,), indices of the class map; at least one image.
        probabilities: float (images, classes); each row sums to 1.
        classes: names of the classes.
        ordered: True if the classes are grades, listed from lowest to highest.
        corrected: float (images, classes), in place of `probabilities` in the scores of `OF_PROBABILITIES`.
    """
    sample = Sample(labels, probabilities, classes, ordered, np.ones((1, len(labels))))
    scores = scores_of(sample)
    if corrected is not None:
        scores |= scores_of(replace(sample, probabilities=corrected), OF_PROBABILITIES)
    support = np.bincount(labels, minlength=len(classes))
    return {
        **{name: float(values[0]) for name, values in scores.items()},
        **{ClassScore("support", name): int(count) for name, count in zip(classes, support, strict=True)},
    }


def scores_of(sample: Sample, metrics: Sequence[Metric] = METRICS) -> dict[Name, np.ndarray]:
    """Return every score by name, each float (draws,)."""
    return {name: values for metric in metrics for name, values in metric(sample)}


def balanced_accuracy(labels: np.ndarray, predicted: np.ndarray, classes: int) -> float:
    """Return the mean recall over the classes with images."""
    total = np.bincount(labels, minlength=classes)
    right = np.bincount(labels[labels == predicted], minlength=classes)
    return float((right[total > 0] / total[total > 0]).mean())


def confusion_counts(labels: np.ndarray, probabilities: np.ndarray, classes: list[str]) -> dict[str, dict[str, int]]:
    """Return the number of images by actual class, then by predicted class."""
    matrix = confusion_matrix(labels, probabilities.argmax(axis=1), labels=range(len(classes)))
    return {actual: dict(zip(classes, map(int, row), strict=True)) for actual, row in zip(classes, matrix, strict=True)}


def collapsed(probabilities: np.ndarray) -> bool:
    """Return whether a model predicts the same class for every image."""
    return len(np.unique(probabilities.argmax(axis=1))) == 1


def _rates(sample: Sample) -> dict[str, np.ndarray]:
    """Return precision, recall, F1 and specificity, each float (draws, classes)."""
    actual, predicted = sample.confusion.sum(axis=2), sample.confusion.sum(axis=1)
    right, others = np.diagonal(sample.confusion, axis1=1, axis2=2), sample.total[:, None] - actual
    precision = ratio(right, predicted)
    return {
        "precision": np.where((predicted == 0) & (actual > 0), 0.0, precision),
        "recall": ratio(right, actual),
        "f1": ratio(2 * right, actual + predicted),
        "specificity": ratio(others - predicted + right, others),
    }


def _mean_of_present(values: np.ndarray, sample: Sample) -> np.ndarray:
    present = sample.confusion.sum(axis=2) > 0
    return np.where(present, values, 0).sum(axis=1) / present.sum(axis=1)


def _kappa(sample: Sample, cost: np.ndarray) -> np.ndarray:
    by_chance = np.einsum("ri,rj,ij->r", sample.confusion.sum(axis=2), sample.confusion.sum(axis=1), cost)
    return 1 - ratio((sample.confusion * cost).sum(axis=(1, 2)) * sample.total, by_chance)


def _correlation(sample: Sample) -> np.ndarray:
    actual, predicted, total = sample.confusion.sum(axis=2), sample.confusion.sum(axis=1), sample.total
    spread = [total**2 - (side**2).sum(axis=1) for side in (actual, predicted)]
    covariance = np.trace(sample.confusion, axis1=1, axis2=2) * total - (actual * predicted).sum(axis=1)
    correlation = ratio(covariance, np.sqrt(spread[0]) * np.sqrt(spread[1]), otherwise=0.0)
    return np.where(spread[0] == 0, np.nan, correlation)
