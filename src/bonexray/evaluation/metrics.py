"""Scores of one model on one split, from labels and probabilities."""

from collections.abc import Callable, Iterator

import numpy as np
from sklearn import metrics as sk

Scores = Iterator[tuple[str, float]]


def overall(labels: np.ndarray, probabilities: np.ndarray, classes: list[str]) -> Scores:
    """Accuracy, balanced accuracy and log loss."""
    predicted = probabilities.argmax(axis=1)
    yield "accuracy", float((predicted == labels).mean())
    yield "balanced_accuracy", balanced_accuracy(labels, predicted, len(classes))
    yield "log_loss", float(sk.log_loss(labels, probabilities, labels=range(len(classes))))


def averages(labels: np.ndarray, probabilities: np.ndarray, classes: list[str]) -> Scores:
    """Precision, recall and F1, as the plain mean over classes and weighted by the classes' images."""
    predicted = probabilities.argmax(axis=1)
    for average in ("macro", "weighted"):
        scores = sk.precision_recall_fscore_support(
            labels, predicted, labels=range(len(classes)), average=average, zero_division=0
        )
        for name, value in zip(("precision", "recall", "f1"), scores[:3], strict=True):
            yield f"{average}_{name}", float(value)


def discrimination(labels: np.ndarray, probabilities: np.ndarray, classes: list[str]) -> Scores:
    """Area under the ROC curve, one class against the rest, as the plain mean over classes; NaN when one is absent."""
    present = np.bincount(labels, minlength=len(classes))
    if (present == 0).any():
        yield "roc_auc", float("nan")
        return
    one_against_rest = [sk.roc_auc_score(labels == c, probabilities[:, c]) for c in range(len(classes))]
    yield "roc_auc", float(np.mean(one_against_rest))


def a_class(labels: np.ndarray, probabilities: np.ndarray, classes: list[str]) -> Scores:
    """Precision, recall (sensitivity), specificity, F1 and support of each class."""
    predicted = probabilities.argmax(axis=1)
    numbers = range(len(classes))
    precision, recall, f1, support = sk.precision_recall_fscore_support(
        labels, predicted, labels=numbers, zero_division=0
    )
    for c, name in enumerate(classes):
        others = labels != c
        yield f"precision_{name}", float(precision[c])
        yield f"recall_{name}", float(recall[c])
        yield f"specificity_{name}", float((predicted[others] != c).mean()) if others.any() else float("nan")
        yield f"f1_{name}", float(f1[c])
        yield f"support_{name}", int(support[c])


METRICS: list[Callable[[np.ndarray, np.ndarray, list[str]], Scores]] = [
    overall,
    averages,
    discrimination,
    a_class,
]


def all_metrics(labels: np.ndarray, probabilities: np.ndarray, classes: list[str]) -> dict[str, float]:
    """Every score of every function in `METRICS`.

    Args:
        labels: int (images,), places in the class map.
        probabilities: float (images, classes).
        classes: the class map.
    """
    return {name: value for metric in METRICS for name, value in metric(labels, probabilities, classes)}


def balanced_accuracy(labels: np.ndarray, predicted: np.ndarray, classes: int) -> float:
    """Mean recall over the classes that are there."""
    total = np.bincount(labels, minlength=classes)
    right = np.bincount(labels[labels == predicted], minlength=classes)
    return float((right[total > 0] / total[total > 0]).mean())


def confusion_counts(labels: np.ndarray, probabilities: np.ndarray, classes: list[str]) -> dict[str, dict[str, int]]:
    """Images by actual class, then by predicted class."""
    matrix = sk.confusion_matrix(labels, probabilities.argmax(axis=1), labels=range(len(classes)))
    return {actual: dict(zip(classes, map(int, row), strict=True)) for actual, row in zip(classes, matrix, strict=True)}


def majority_baseline(train_labels: np.ndarray, test_labels: np.ndarray, classes: int) -> dict[str, float]:
    """What always answering the most frequent class of training gives on test."""
    answer = np.full_like(test_labels, np.bincount(train_labels, minlength=classes).argmax())
    return {
        "baseline_accuracy": float((answer == test_labels).mean()),
        "baseline_balanced_accuracy": balanced_accuracy(test_labels, answer, classes),
    }


def collapsed(probabilities: np.ndarray) -> bool:
    """Whether a model gives the same answer to every image."""
    return len(np.unique(probabilities.argmax(axis=1))) == 1
