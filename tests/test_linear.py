"""The linear head: scikit-learn's regression in the layers of Keras, its strength chosen on validation."""

from pathlib import Path

import keras
import numpy as np
import pytest
from cohorts import cohort_of, lay_out_features, lay_out_images, silent, with_settings
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from bonexray.networks.heads import build_head
from bonexray.registry import FROZEN
from bonexray.train.batches import Batches
from bonexray.train.fit import balanced_weights, probabilities
from bonexray.train.linear import fit_linear
from bonexray.train.objective import targets_of
from bonexray.train.regression import STRENGTHS
from bonexray.train.training import adapt, train_model

FEW = [0.001, 0.1, 10.0]
NAME = "densenet121"


class Solved:
    """A linear head on features of which three tell the classes; two thirds of the images train, the others validate."""

    def __init__(self, output: str, classes: int, images: int = 45, width: int = 60) -> None:
        self.labels, trained = np.arange(images) % classes, images * 2 // 3
        rng = np.random.default_rng(7)
        self.features = rng.normal(2.0, 3.0, (images, width)).astype(np.float32)
        self.features[:, :classes] += 2 * np.eye(classes)[self.labels]
        settings = with_settings(head="linear", output=output, standardize=True)
        targets = targets_of(self.labels, classes, settings)
        readers = [lambda rows, _epoch: self.features[rows]]
        self.train, self.val = (Batches(readers, targets, rows, 8) for rows in np.split(np.arange(images), [trained]))
        self.head = build_head({"a": width}, classes, settings)
        adapt(self.head, self.train)
        self.weight = balanced_weights(self.labels[:trained])
        self.fits = fit_linear(self.head, self.train, self.val, self.weight, FEW)


@pytest.mark.parametrize(("output", "classes"), [("softmax", 3), ("softmax", 2), ("sigmoid", 2)])
def test_the_head_answers_as_the_best_regression_of_scikit_learn(output: str, classes: int) -> None:
    solved = Solved(output, classes)
    mean, std = (keras.ops.convert_to_numpy(weight) for weight in solved.head.get_layer("standardize").weights)
    scaled, labels = (solved.features - mean) / std, solved.labels
    expected = []
    for strength in FEW:
        regression = LogisticRegression(C=1 / (30 * strength), class_weight=solved.weight, max_iter=5000, tol=1e-8)
        expected.append(regression.fit(scaled[:30], labels[:30]).predict_proba(scaled[30:]))
    losses = [log_loss(labels[30:], answers) for answers in expected]
    assert [fit.val_log_loss for fit in solved.fits] == pytest.approx(losses, rel=1e-2)
    assert probabilities(solved.head, solved.val) == pytest.approx(expected[int(np.argmin(losses))], abs=5e-3)


def test_every_strength_and_the_chosen_one_are_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lay_out_images(32)
    lay_out_features(NAME)
    folder = tmp_path / "m"
    folder.mkdir()
    training = train_model(NAME, cohort_of(NAME, FROZEN, with_settings(head="linear")), folder, silent)
    best = training.history.loc[training.history["val_log_loss"].idxmin()]
    assert training.choice["chosen"] == {"strength": best["strength"]}
    assert [row["strength"] for row in training.choice["candidates"]] == list(STRENGTHS)
    losses = [row["val_log_loss"] for row in training.choice["candidates"]]
    assert training.history["val_log_loss"].tolist() == pytest.approx(losses)


def test_the_list_reaches_penalties_too_weak_and_too_strong_for_many_images() -> None:
    """Several hundred images of a cohort support coefficients that a few dozen do not."""
    solved = Solved("softmax", 3, images=900, width=20)
    fits = fit_linear(solved.head, solved.train, solved.val, solved.weight)
    losses = [fit.val_log_loss for fit in fits]
    assert STRENGTHS[0] < STRENGTHS[int(np.argmin(losses))] < 0.3
