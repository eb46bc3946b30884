"""The linear head: scikit-learn's regression in the layers of Keras, its strength chosen on validation."""

import keras
import numpy as np
import pandas as pd
import pytest
from cohorts import with_settings
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from bonexray.networks.heads import build_head
from bonexray.train.batches import Batches
from bonexray.train.fit import balanced_weights, probabilities
from bonexray.train.linear import arrays_of, fit_linear
from bonexray.train.objective import targets_of
from bonexray.train.regression import candidates_of, metrics_of
from bonexray.train.training import adapt

STRENGTHS = [0.001, 0.1, 10.0]


class Solved:
    """A linear head on features, more than images, of which three tell the classes; 30 train and 15 validate."""

    def __init__(self, output: str, classes: int) -> None:
        self.labels = np.arange(45) % classes
        rng = np.random.default_rng(7)
        self.features = rng.normal(2.0, 3.0, (45, 60)).astype(np.float32)
        self.features[:, :classes] += 2 * np.eye(classes)[self.labels]
        settings = with_settings(head="linear", output=output, standardize=True)
        targets = targets_of(self.labels, classes, settings)
        readers = [lambda rows, _epoch: self.features[rows]]
        self.train, self.val = (Batches(readers, targets, rows, 8) for rows in (np.arange(30), np.arange(30, 45)))
        self.head = build_head({"a": 60}, classes, settings)
        adapt(self.head, self.train)
        self.weight = balanced_weights(self.labels[:30])
        self.fits = fit_linear(self.head, self.train, self.val, self.weight, STRENGTHS)


@pytest.mark.parametrize(("output", "classes"), [("softmax", 3), ("softmax", 2), ("sigmoid", 2)])
def test_the_head_answers_as_the_best_regression_of_scikit_learn(output: str, classes: int) -> None:
    solved = Solved(output, classes)
    mean, std = (keras.ops.convert_to_numpy(weight) for weight in solved.head.get_layer("standardize").weights)
    scaled, labels = (solved.features - mean) / std, solved.labels
    expected = []
    for strength in STRENGTHS:
        regression = LogisticRegression(C=1 / (30 * strength), class_weight=solved.weight, max_iter=5000, tol=1e-8)
        expected.append(regression.fit(scaled[:30], labels[:30]).predict_proba(scaled[30:]))
    losses = [log_loss(labels[30:], answers) for answers in expected]
    assert [fit.val_log_loss for fit in solved.fits] == pytest.approx(losses, rel=1e-2)
    assert probabilities(solved.head, solved.val) == pytest.approx(expected[int(np.argmin(losses))], abs=5e-3)


def test_every_strength_and_the_chosen_one_are_recorded() -> None:
    solved = Solved("softmax", 3)
    train, val = arrays_of(solved.head, solved.train), arrays_of(solved.head, solved.val)
    rows = [{"epoch": number, **metrics_of(fit, train, val)} for number, fit in enumerate(solved.fits)]
    found = candidates_of(pd.DataFrame(rows))
    best = min(solved.fits, key=lambda fit: fit.val_log_loss)
    assert found["strength"] == best.strength
    assert [row["strength"] for row in found["candidates"]] == STRENGTHS
    assert candidates_of(pd.DataFrame({"epoch": [1]})) == {}
