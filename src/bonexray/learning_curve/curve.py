"""A linear model trained on shares of the training patients and scored on the same test images."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from bonexray.base.errors import BonexrayError
from bonexray.data.manifest import class_numbers
from bonexray.evaluate.bootstrap import draw
from bonexray.evaluate.prior import Learned
from bonexray.evaluate.settings import Evaluate
from bonexray.learning_curve.learners import Learner
from bonexray.learning_curve.scoring import SCORES, Judged, gain_of_the_rest, judged, scores_of_draws
from bonexray.learning_curve.settings import LearningCurve
from bonexray.learning_curve.subsets import nested_subsets

NEAR = 0.01  # largest difference in balanced accuracy from the study's own training that rounding may cause


@dataclass(frozen=True, eq=False)
class Task:
    """What all models of a curve share.

    Attributes:
        rows: rows of the first training, one for each image; see `first_training`.
        classes: names of the classes.
        learned: the prior that the models have learned.
        settings: shares, draws and seed.
        evaluate: unit, prevalence, resamples, confidence and seed.
    """

    rows: pd.DataFrame
    classes: list[str]
    learned: Learned
    settings: LearningCurve
    evaluate: Evaluate

    def images(self, split: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the indices of a split's images and their classes, without reading the labels of other splits."""
        indices = np.flatnonzero(self.rows["split"] == split)
        return indices, class_numbers(self.rows["label"].iloc[indices], self.classes)

    def judged(self, probabilities: np.ndarray, split: str) -> Judged:
        """Return the predictions for a split in the form in which the study scores them."""
        return judged(self.rows, probabilities, split, self.classes, self.evaluate, self.learned)


def subsets_of(task: Task) -> list[tuple[float, np.ndarray]]:
    """Return the share and the training images of every fit: each smaller share once per draw, all patients once."""
    train, labels = task.images("train")
    groups = task.rows["group"].to_numpy()[train]
    *small, whole = task.settings.shares
    subsets = [
        (share, train[chosen])
        for number in range(task.settings.draws)
        for share, chosen in zip(
            small,
            nested_subsets(groups, labels, small, np.random.default_rng([task.settings.seed, number])),
            strict=True,
        )
    ]
    return [*subsets, (whole, train)]


def answers_of(learner: Learner, task: Task) -> list[np.ndarray]:
    """Fit the model to each of `subsets_of`, and return the probabilities of all images, float (images, classes)."""
    (train, labels), (val, val_labels) = task.images("train"), task.images("val")
    with threadpool_limits(1):  # faster for so little work, and the same digits on every machine
        return [
            learner.answers(chosen, labels[np.searchsorted(train, chosen)], val, val_labels)
            for _, chosen in subsets_of(task)
        ]


def curve_of(learner: Learner, task: Task) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Score a model by share of the training patients.

    Args:
        learner: the model.
        task: images, settings and the measure.

    Returns:
        A row for each share, the smallest first: model, share, patients and images (means over the draws), draws, the
        scores of `scores_of_draws`, and those of `gain_of_the_rest`, NaN for all patients. And a row for each fit:
        model, share, patients and each of `SCORES`.
    """
    subsets, groups = subsets_of(task), task.rows["group"].to_numpy()
    answers = [task.judged(probabilities, "test") for probabilities in answers_of(learner, task)]
    draws = draw(answers[0].own.groups, task.evaluate.resamples, task.evaluate.seed)
    fits = pd.DataFrame(
        {
            "model": learner.name,
            "share": [share for share, _ in subsets],
            "patients": [len(np.unique(groups[chosen])) for _, chosen in subsets],
            "images": [len(chosen) for _, chosen in subsets],
            **{score: [answer.scores()[score] for answer in answers] for score in SCORES},
        }
    )
    rows, accuracies = [], {}
    for share, block in fits.groupby("share"):
        scores, accuracies[share] = scores_of_draws([answers[n] for n in block.index], draws, task.evaluate)
        sizes = block[["patients", "images"]].mean().to_dict()
        rows.append({"model": learner.name, "share": share, **sizes, "draws": len(block), **scores})
    for row in rows[:-1]:
        row |= gain_of_the_rest(accuracies[row["share"]], accuracies[1.0], draws, task.evaluate)
    return pd.DataFrame(rows), fits.drop(columns="images")


def require_same_score(name: str, curve: pd.DataFrame, study: Judged) -> None:
    """Raise an error unless the model on all training patients has the score of the study's own training.

    Args:
        name: of the model.
        curve: its rows, see `curve_of`.
        study: the predictions of the model's first training on test.

    Raises:
        BonexrayError: the balanced accuracies differ by more than `NEAR`.
    """
    received, expected = float(curve["balanced_accuracy"].iloc[-1]), float(study.scores()["balanced_accuracy"])
    if abs(received - expected) > NEAR:
        raise BonexrayError(
            f"learning curve of {name}",
            expected=f"the balanced accuracy of models/{name} with all training patients, {expected:.3f}",
            received=f"{received:.3f}",
            do="run `dvc repro`, which trains outdated models again",
        )
