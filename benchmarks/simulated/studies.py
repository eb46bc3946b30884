"""Simulated studies with known classifiers: labels, patients and probabilities of correlated images and models."""

from dataclasses import dataclass

import numpy as np
from scipy import stats
from scipy.special import softmax

BALANCES = {"even": (1 / 3, 1 / 3, 1 / 3), "rare": (0.7, 0.2, 0.1)}
CLASSES = ["0", "1", "2"]


@dataclass(frozen=True)
class Cell:
    """A kind of study.

    Args:
        recall: chance of a right answer, in (0, 1), the same in each class.
        groups: number of patients.
        images: most images of a patient, who has 1 to this many.
        balance: shares of the classes, a key of `BALANCES`.
    """

    recall: float
    groups: int
    images: int
    balance: str

    def rng(self, study: int) -> np.random.Generator:
        """Return the random numbers of a study, independent of those of all others."""
        balance = list(BALANCES).index(self.balance)
        return np.random.default_rng([study, balance, self.images, self.groups, round(10_000 * self.recall)])


@dataclass(frozen=True, eq=False)
class Study:
    """The test images of a study: labels and patients, int (images,), and probabilities, float (images, classes)."""

    labels: np.ndarray
    patients: np.ndarray
    probabilities: np.ndarray


def draw_studies(rng: np.random.Generator, cell: Cell, recalls: tuple[float, ...]) -> list[Study]:
    """Return predictions of one model for each chance of a right answer, all for the same images.

    Half of the variance of a model's evidence belongs to the patient, and half of that is common to all models. So is
    half of the variance of an image.
    """
    patient = np.repeat(np.arange(cell.groups), rng.integers(1, cell.images + 1, cell.groups))
    labels = rng.choice(len(CLASSES), cell.groups, p=BALANCES[cell.balance])[patient]
    rival = (labels + rng.integers(1, len(CLASSES), cell.groups)[patient]) % len(CLASSES)

    def evidence() -> np.ndarray:
        return rng.standard_normal(cell.groups)[patient] + rng.standard_normal(len(patient))

    common = evidence()
    return [
        Study(labels, patient, _probabilities(labels, rival, stats.norm.ppf(recall) + (common + evidence()) / 2))
        for recall in recalls
    ]


def _probabilities(labels: np.ndarray, rival: np.ndarray, margin: np.ndarray) -> np.ndarray:
    """Return probabilities from the margin of the true class before its rival; below 0, the answer is wrong."""
    rows, logits = np.arange(len(labels)), np.full((len(labels), len(CLASSES)), -2.0)
    logits[rows, labels], logits[rows, rival] = margin, 0
    return softmax(logits, axis=1)


def draw_panel(
    rng: np.random.Generator, groups: int, recalls: np.ndarray, models: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return labels (images,), patients (images,) and one-hot predictions (models, images, classes) of equal models."""
    classes = len(recalls)
    patient = np.repeat(np.arange(groups), rng.integers(1, 3, groups))
    labels, images = rng.integers(0, classes, groups)[patient], len(patient)
    luck = (
        rng.standard_normal(groups)[patient]
        + rng.standard_normal(images)
        + rng.standard_normal((models, groups))[:, patient]
        + rng.standard_normal((models, images))
    ) / 2
    others = (labels + rng.integers(1, classes, (models, images))) % classes
    predicted = np.where(luck < stats.norm.ppf(recalls)[labels], labels, others)
    return labels, patient, np.eye(classes)[predicted]
