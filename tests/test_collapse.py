"""A model that answers one class in any of its trainings is marked, though all trainings together hide it."""

import numpy as np
import pytest
from trainings import UNSORTED, one_hot, predictions_of_trainings

from bonexray.data.scores import collapse_of
from bonexray.evaluate.evaluation import evaluate
from bonexray.evaluate.settings import Evaluate

SETTINGS = Evaluate(resamples=100)
ALMOST = "one class for all test images of a training, or all but one"


@pytest.mark.parametrize(
    ("repeat", "fold", "answers", "how"),
    [
        (1, 2, [1] * 12, ALMOST),  # one fold
        (2, 1, [2] * 12, ALMOST),  # one fold of the second repeat
        (1, 3, [0] * 11 + [2], ALMOST),  # all but one
        (1, 3, [0] * 10 + [2, 1], ""),
    ],
    ids=["one fold", "one repeat", "all but one", "all but two"],
)
def test_one_class_in_one_training_is_marked(repeat: int, fold: int, answers: list[int], how: str) -> None:
    rows, probabilities = predictions_of_trainings(3, 2)
    of_training = (rows["repeat"] == repeat) & (rows["fold"] == fold) & (rows["split"] == "test")
    probabilities[of_training.to_numpy()] = one_hot(answers, 3)
    scores = evaluate(rows, probabilities, UNSORTED, SETTINGS, False, "train").scores
    assert scores["collapsed"] == 0 and collapse_of(scores) == how
    assert scores["largest_predicted_share"] == pytest.approx(np.bincount(answers).max() / 12)


def test_one_class_throughout_has_collapsed() -> None:
    rows, probabilities = predictions_of_trainings(3, 1)
    scores = evaluate(
        rows, np.tile([0.2, 0.5, 0.3], (len(probabilities), 1)), UNSORTED, SETTINGS, False, "train"
    ).scores
    assert (scores["collapsed"], scores["nearly_collapsed"], scores["largest_predicted_share"]) == (1, 1, 1)
    assert collapse_of(scores) == "one class for every image"


def test_right_answers_for_a_rare_class_are_no_collapse() -> None:
    rows, _ = predictions_of_trainings(3, 1)
    labels = np.where(rows["split"] == "test", "normal", rows["label"])
    labels[(rows["split"] == "test").to_numpy().nonzero()[0][::12]] = "osteopenia"  # one image in each fold
    right = one_hot([UNSORTED.index(label) for label in labels], 3)
    assert collapse_of(evaluate(rows.assign(label=labels), right, UNSORTED, SETTINGS, False, "train").scores) == ""
