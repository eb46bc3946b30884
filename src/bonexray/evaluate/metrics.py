"""Scores of one model on one split, from labels and probabilities.

A score is written once, for any weighting of the images: all weights 1 give the score itself, the weights of a bootstrap
give its resamples. What is not defined is NaN: recall of a class without images, precision of a class without images
that is never answered, ranking of a class without images or without others, agreement by chance alone when all images
and answers are of one class. The precision of a class that has images and is never answered is 0. Means over classes
are over the classes that have images, but those of ranking are defined only when every class has images.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from sklearn.metrics import confusion_matrix

from bonexray.evaluate.ranking_metrics import average_precision, roc_area
from bonexray.evaluate.sample import Sample, ratio

Scores = Iterator[tuple[str, np.ndarray]]
Metric = Callable[[Sample], Scores]
BINS = 15  # of the probability of the answer, equally wide


def overall(sample: Sample) -> Scores:
    """Accuracy, and balanced accuracy: the mean recall over the classes that have images (Brodersen 2010)."""
    right = np.diagonal(sample.confusion, axis1=1, axis2=2)
    recall = ratio(right, sample.confusion.sum(axis=2))
    yield "accuracy", right.sum(axis=1) / sample.total
    yield "balanced_accuracy", _mean_of_present(recall, sample)


def likelihood(sample: Sample) -> Scores:
    """Log loss, Brier score and expected calibration error.

    The Brier score is the mean over images of the sum over classes of (probability - truth)², in [0, 2] (Brier 1950);
    for two classes that is twice scikit-learn's. The calibration error is the mean over `BINS` equally wide bins of the
    answer's probability of |accuracy - mean probability|, weighted by the bins' images (Guo 2017). Log loss clips
    probabilities at the precision of a float, as scikit-learn does.
    """
    given = sample.probabilities[np.arange(len(sample.labels)), sample.labels]
    tiny = np.finfo(float).eps
    yield "log_loss", sample.mean(-np.log(np.clip(given, tiny, 1 - tiny)))
    truth = np.eye(len(sample.classes))[sample.labels]
    yield "brier", sample.mean(((sample.probabilities - truth) ** 2).sum(axis=1))
    confidence = sample.probabilities.max(axis=1)
    gap = np.eye(BINS)[bin_of(confidence, BINS)] * (confidence - (sample.predicted == sample.labels))[:, None]
    yield "expected_calibration_error", np.abs(sample.weights @ gap).sum(axis=1) / sample.total


def averages(sample: Sample) -> Scores:
    """Precision, recall, F1 and specificity, as the plain mean over classes and weighted by the classes' images."""
    share = sample.confusion.sum(axis=2) / sample.total[:, None]
    for name, values in _rates(sample).items():
        yield f"macro_{name}", _mean_of_present(values, sample)
        yield f"weighted_{name}", np.where(share > 0, share * values, 0).sum(axis=1)


def agreement(sample: Sample) -> Scores:
    """Cohen's kappa and Matthews' correlation (Gorodkin 2004); for ordered classes also how far off in grades.

    One answer to everything has a kappa and a correlation of 0. When all images are of one class the correlation is NaN,
    and when all answers are that class too, so is kappa. Quadratic kappa weighs an error by its squared grades.
    """
    grades = np.arange(len(sample.classes))
    distance = np.abs(grades[:, None] - grades)
    yield "cohen_kappa", _kappa(sample, (distance > 0).astype(float))
    yield "matthews_correlation", _correlation(sample)
    if sample.ordered:
        yield "quadratic_weighted_kappa", _kappa(sample, distance**2.0)
        yield "mean_absolute_grade_error", sample.mean(np.abs(sample.predicted - sample.labels).astype(float))


def discrimination(sample: Sample) -> Scores:
    """Area under the ROC curve and average precision, one class against the rest, and their plain means."""
    for mean, name, area in (
        ("roc_auc", "roc_auc", roc_area),
        ("macro_average_precision", "average_precision", average_precision),
    ):
        areas = [area(sample.weights, sample.labels == c, score) for c, score in enumerate(sample.probabilities.T)]
        yield mean, np.mean(areas, axis=0)
        yield from ((f"{name}_{label}", values) for label, values in zip(sample.classes, areas, strict=True))


def a_class(sample: Sample) -> Scores:
    """Precision, recall (sensitivity), F1 and specificity of each class."""
    for name, values in _rates(sample).items():
        yield from ((f"{name}_{label}", values[:, c]) for c, label in enumerate(sample.classes))


METRICS: list[Metric] = [overall, likelihood, averages, agreement, discrimination, a_class]


def all_metrics(
    labels: np.ndarray, probabilities: np.ndarray, classes: list[str], ordered: bool = False
) -> dict[str, float]:
    """Every score of every function in `METRICS`, and the images of each class as `support_<class>`.

    Args:
        labels: int (images,), places in the class map; at least one image.
        probabilities: float (images, classes), rows sum to 1.
        classes: the class map.
        ordered: whether it goes from the lowest grade to the highest.
    """
    sample = Sample(labels, probabilities, classes, ordered, np.ones((1, len(labels))))
    support = np.bincount(labels, minlength=len(classes))
    return {
        **{name: float(values[0]) for name, values in scores_of(sample).items()},
        **{f"support_{name}": int(count) for name, count in zip(classes, support, strict=True)},
    }


def scores_of(sample: Sample, metrics: Sequence[Metric] = METRICS) -> dict[str, np.ndarray]:
    """Float (draws,) of every score."""
    return {name: values for metric in metrics for name, values in metric(sample)}


def bin_of(confidence: np.ndarray, bins: int) -> np.ndarray:
    """The place of each probability among equally wide bins of (0, 1]; a bin holds its upper bound."""
    return np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], confidence, side="left")


def balanced_accuracy(labels: np.ndarray, predicted: np.ndarray, classes: int) -> float:
    """Mean recall over the classes that are there."""
    total = np.bincount(labels, minlength=classes)
    right = np.bincount(labels[labels == predicted], minlength=classes)
    return float((right[total > 0] / total[total > 0]).mean())


def confusion_counts(labels: np.ndarray, probabilities: np.ndarray, classes: list[str]) -> dict[str, dict[str, int]]:
    """Images by actual class, then by predicted class."""
    matrix = confusion_matrix(labels, probabilities.argmax(axis=1), labels=range(len(classes)))
    return {actual: dict(zip(classes, map(int, row), strict=True)) for actual, row in zip(classes, matrix, strict=True)}


def collapsed(probabilities: np.ndarray) -> bool:
    """Whether a model gives the same answer to every image."""
    return len(np.unique(probabilities.argmax(axis=1))) == 1


def _rates(sample: Sample) -> dict[str, np.ndarray]:
    """Each of float (draws, classes)."""
    actual, answered = sample.confusion.sum(axis=2), sample.confusion.sum(axis=1)
    right, others = np.diagonal(sample.confusion, axis1=1, axis2=2), sample.total[:, None] - actual
    precision = ratio(right, answered)
    return {
        "precision": np.where((answered == 0) & (actual > 0), 0.0, precision),
        "recall": ratio(right, actual),
        "f1": ratio(2 * right, actual + answered),
        "specificity": ratio(others - answered + right, others),
    }


def _mean_of_present(values: np.ndarray, sample: Sample) -> np.ndarray:
    present = sample.confusion.sum(axis=2) > 0
    return np.where(present, values, 0).sum(axis=1) / present.sum(axis=1)


def _kappa(sample: Sample, cost: np.ndarray) -> np.ndarray:
    by_chance = np.einsum("ri,rj,ij->r", sample.confusion.sum(axis=2), sample.confusion.sum(axis=1), cost)
    return 1 - ratio((sample.confusion * cost).sum(axis=(1, 2)) * sample.total, by_chance)


def _correlation(sample: Sample) -> np.ndarray:
    actual, answered, total = sample.confusion.sum(axis=2), sample.confusion.sum(axis=1), sample.total
    spread = [total**2 - (side**2).sum(axis=1) for side in (actual, answered)]
    covariance = np.trace(sample.confusion, axis1=1, axis2=2) * total - (actual * answered).sum(axis=1)
    found = ratio(covariance, np.sqrt(spread[0]) * np.sqrt(spread[1]), otherwise=0.0)
    return np.where(spread[0] == 0, np.nan, found)
