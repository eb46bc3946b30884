"""The interval of every score: exact methods for proportions, the bootstrap for the rest, and never a width of 0.

The images of a patient are not independent. The interval of a proportion uses the number of independent images that
would give the same variance (Rao and Scott, Annals of Statistics 20, 1992). Where fewer than `FEW` patients' worth of
images are on the rarer side, this number cannot be estimated, and a patient counts as one image.

An exact interval (Clopper and Pearson 1934) adds one wrong image for its lower end and one right image for its upper
end: Beta(hits, misses + 1) and Beta(hits + 1, misses). Kappa, correlations and errors in grades depend on the whole
confusion matrix. Their draws add one image in the same way, as the bound of Gaffke does for any mean of bounded values
(Mathematical Methods of Statistics 14, 2005).
"""

from collections.abc import Callable, Mapping

import numpy as np
from scipy.special import stdtrit

from bonexray.evaluate.bootstrap import Draws, bounds
from bonexray.evaluate.metrics import agreement, averages, scores_of
from bonexray.evaluate.proportions import Bounds, area, exact, mean_of
from bonexray.evaluate.sample import Sample
from bonexray.evaluate.score_names import ClassScore, Name, with_ending

FEW = 10
DRAWN = 2000  # confusion matrices on each side
MEANS = {
    "balanced_accuracy": "recall",
    "macro_recall": "recall",
    "macro_precision": "precision",
    "macro_specificity": "specificity",
    "macro_f1": "f1",
    "macro_average_precision": "average_precision",
}

TINY = np.finfo(float).eps
LOSSES = {  # of the probability that the true class was given
    "log_loss": lambda p: -np.log(np.clip(p, TINY, 1 - TINY)),
    "brier": lambda p: 2 * (1 - p) ** 2,
}


class Intervals:
    """The intervals of one model's scores on one sample.

    Args:
        sample: labels, the model's own probabilities and classes, of the first repeat; its weights are not used.
        likely: float (images, classes), the probabilities that log loss and Brier score use.
        groups: (images,), the same value for images of one patient.
        resampled: name to float (rows of the draws,), from `resampled_metrics`.
        draws: bootstrap draws over the groups.
        confidence: confidence level, in (0, 1).
    """

    def __init__(
        self,
        sample: Sample,
        likely: np.ndarray,
        groups: np.ndarray,
        resampled: Mapping[Name, np.ndarray],
        draws: Draws,
        confidence: float,
    ) -> None:
        self._sample, self._groups, self._draws, self._confidence = sample, groups, draws, confidence
        self._likely, self._resampled, self._matrices = likely, resampled, None

    def ends(self) -> dict[Name, float]:
        """Return `<name>_low` and `<name>_high` of every score; NaN where the score is undefined."""
        found: dict[Name, Bounds] = {}
        means_last = sorted(self._resampled, key=lambda name: (isinstance(name, str), name != "accuracy"))
        for name in means_last:
            estimate = self._resampled[name][0]
            found[name] = (np.nan, np.nan) if np.isnan(estimate) else self._bounds(name, float(estimate), found)
        ends = {}
        for name in self._resampled:
            low, high = found[name]
            ends |= {with_ending(name, "_low"): float(low), with_ending(name, "_high"): float(high)}
        return ends

    def _bounds(self, name: Name, estimate: float, found: Mapping[Name, Bounds]) -> Bounds:
        """Return the interval by the method of the score: a table in words.

        accuracy, recall, specificity, precision: exact. F1 of a class: exact interval of the Jaccard index, of which it
        is a function. Balanced accuracy: from the recalls, by MOVER. Average precision: bootstrap and exact with the
        positive patients (Boyd 2013). ROC AUC: bootstrap and Newcombe's. Other functions of the confusion matrix:
        bootstrap and draws of the matrix, see `_drawn`. Losses: bootstrap, and the ends of the accuracy.
        """
        if name == "accuracy":
            return self._proportion(estimate, np.ones(len(self._groups), bool), self._resampled[name])
        if isinstance(name, ClassScore):
            return self._of_class(name, estimate)
        if name in ("balanced_accuracy", "macro_recall"):
            return self._mean(MEANS[name], found)
        boot = tuple(map(float, bounds(self._resampled[name], self._draws, self._confidence)))
        if name in MEANS:
            return _union(boot, self._mean(MEANS[name], found))
        if name == "roc_auc":  # areas of classes depend on each other: as if they were one
            each = np.array([found[ClassScore(name, label)] for label in self._sample.classes])
            return _union(boot, tuple(each.mean(axis=0)))
        if name in LOSSES:
            return _union(boot, self._loss(estimate, LOSSES[name], found["accuracy"]))
        drawn = [np.nanquantile(side[name], self._tails()) for side in self._drawn() if name in side]
        return (float(np.min([boot, *drawn])), float(np.max([boot, *drawn])))

    def _of_class(self, name: ClassScore, estimate: float) -> Bounds:
        number = self._sample.classes.index(name.label)
        actual, predicted = self._sample.labels == number, self._sample.predicted == number
        values = self._resampled[name]
        if name.score in ("roc_auc", "average_precision"):
            boot = tuple(map(float, bounds(values, self._draws, self._confidence)))
            positives, negatives = (self._patients(rows) for rows in (actual, ~actual))
            if name.score == "roc_auc":
                return _union(boot, area(estimate, positives, negatives, self._confidence))
            return _union(boot, exact(estimate, positives, self._confidence))
        if name.score == "f1":
            jaccard = self._proportion(estimate / (2 - estimate), actual | predicted, values / (2 - values))
            return tuple(2 * end / (1 + end) for end in jaccard)
        counted = {"recall": actual, "specificity": ~actual, "precision": predicted}[name.score]
        return self._proportion(estimate, counted, values)

    def _mean(self, score: str, found: Mapping[Name, Bounds]) -> Bounds:
        present = [c for n, c in enumerate(self._sample.classes) if (self._sample.labels == n).any()]
        names = [
            ClassScore(score, label) for label in present if not np.isnan(self._resampled[ClassScore(score, label)][0])
        ]
        low, high = np.array([found[name] for name in names]).T
        return mean_of(np.array([self._resampled[name][0] for name in names]), low, high)

    def _proportion(self, share: float, counted: np.ndarray, values: np.ndarray) -> Bounds:
        if not counted.any():  # such as the precision of a class that is never predicted
            return 0.0, 1.0
        return exact(share, self._effective(share, counted, values), self._confidence)

    def _effective(self, share: float, counted: np.ndarray, values: np.ndarray) -> float:
        """Return the effective number of images of a proportion, with Student's t for few patients (Korn 1998)."""
        n, patients = int(counted.sum()), self._patients(counted)
        spread, binomial = np.nanvar(self._draws.resampled(values)), share * (1 - share) / n
        effective = float(patients)
        if n * min(share, 1 - share) >= FEW and spread > 0:
            effective = n / max(1.0, spread / binomial)
        if patients < 2:
            return effective
        tail = (1 + self._confidence) / 2
        ratio = stdtrit(max(n - 1, 1), tail) / stdtrit(patients - 1, tail)
        return max(1.0, effective * min(1.0, ratio) ** 2)

    def _loss(self, estimate: float, loss: Callable[[np.ndarray], np.ndarray], accuracy: Bounds) -> Bounds:
        """Return what the loss would be at the ends of the accuracy's interval.

        An image that turns wrong costs the mean loss of another class minus that of the predicted one. Without errors
        in the sample, the resamples have none either; this interval allows for errors that the sample does not show.
        """
        confidence = self._likely[np.arange(len(self._likely)), self._sample.predicted]
        others = (1 - confidence) / (len(self._sample.classes) - 1)
        price = max(0.0, float((loss(others) - loss(confidence)).mean()))
        share = float(self._resampled["accuracy"][0])
        return max(0.0, estimate - price * (accuracy[1] - share)), estimate + price * (share - accuracy[0])

    def _patients(self, rows: np.ndarray) -> int:
        return len(np.unique(self._groups[rows]))

    def _tails(self) -> list[float]:
        return [(1 - self._confidence) / 2, (1 + self._confidence) / 2]

    def _drawn(self) -> list[Mapping[Name, np.ndarray]]:
        """Return functions of the confusion matrix for draws of it with one more wrong image, and one more right image.

        Draws are from a Dirichlet distribution (Goutte and Gaussier 2005). A patient counts as one image, because all
        images of a patient tend to be of one class. The wrong image is spread over all errors, in ordered classes in
        proportion to the squared distance in grades, so that rare costly errors are allowed for.
        """
        if self._matrices is None:
            sample, count = self._sample, len(self._sample.classes)
            rows, columns = np.divmod(np.arange(count * count), count)
            distance = (rows - columns) ** 2 if sample.ordered else (rows != columns)
            cells = np.bincount(sample.labels * count + sample.predicted, minlength=count * count)
            rng = np.random.default_rng(self._draws.groups)
            seen = rng.standard_gamma(self._draws.groups * cells / cells.sum(), (DRAWN, count * count))
            self._matrices = []
            for added in (distance / distance.sum(), (rows == columns) / count):
                weights = seen + rng.standard_gamma(added, seen.shape)
                matrices = Sample(rows, np.eye(count)[columns], sample.classes, sample.ordered, weights)
                self._matrices.append(scores_of(matrices, [averages, agreement]))
        return self._matrices


def _union(one: Bounds, other: Bounds) -> Bounds:
    """Return the smallest interval that contains both."""
    return min(one[0], other[0]), max(one[1], other[1])
