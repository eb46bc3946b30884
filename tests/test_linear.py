"""The linear head: scikit-learn's regression in a weights file that Keras reads, its strength chosen on validation."""

from pathlib import Path

import numpy as np
import pytest
from cohorts import CLASSES, cohort_of, lay_out_features, lay_out_images, silent, with_settings
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from bonexray.data.features_card import read_features_card
from bonexray.data.manifest import read_manifest
from bonexray.data.paths import FEATURES, MANIFEST, MODEL_WEIGHTS, features_folder
from bonexray.networks.scaling import mean_and_std
from bonexray.networks.trainable import head_of
from bonexray.registry import FROZEN, ORDINAL, model_row
from bonexray.train.cohort import Cohort
from bonexray.train.fit import probabilities
from bonexray.train.linear import fit_linear_head, train_head
from bonexray.train.regression import STRENGTHS, Labelled, fit_strengths
from bonexray.train.training import train_model

ONE, TWO = "densenet121", "resnet50_densenet121"
HEADS = {
    "softmax": (ONE, CLASSES, {}),
    "softmax of two classes": (ONE, CLASSES[:2], {}),
    "sigmoid": (ONE, CLASSES[:2], {"output": "sigmoid"}),
    "cumulative": (ONE, CLASSES, {"output": "cumulative"}),
    "corn": (ONE, CLASSES, {"output": "corn"}),
    "two backbones": (TWO, CLASSES, {}),
    "not standardised": (ONE, CLASSES, {"standardize": False}),
    "classes of equal weight": (ONE, CLASSES, {"class_weights": "none"}),
}


@pytest.fixture
def cohort(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cohort:
    """A cohort with the features that a model's linear head learns from."""
    monkeypatch.chdir(tmp_path)
    name, classes, changes = HEADS[request.param]
    lay_out_images(8, 60, classes)
    split = np.array(["train", "val", "train", "test"])[np.arange(60) // 6 % 4]  # every class in every split
    read_manifest().assign(split=split).to_csv(MANIFEST, index=False)
    for backbone in model_row(name).backbones:
        lay_out_features(backbone)
    return cohort_of(name, FROZEN, with_settings(head="linear", **changes))


def inputs_of(cohort: Cohort) -> np.ndarray:
    """Features side by side, standardised if the settings say so."""
    features = np.concatenate([np.load(folder / FEATURES) for folder in cohort.row.features], axis=1).astype(float)
    if not cohort.train.standardize:
        return features
    mean, std = mean_and_std([features[cohort.rows("train")]])
    return (features - mean) / std


def name_of(cohort: Cohort) -> str:
    """The model whose backbones the cohort has features of."""
    backbones = [read_features_card(folder)["backbone"] for folder in cohort.row.features]
    return "_".join(backbones)


@pytest.mark.parametrize("cohort", [name for name in HEADS if name not in ORDINAL], indirect=True)
def test_the_head_answers_as_the_best_regression_of_scikit_learn(cohort: Cohort) -> None:
    inputs, labels = inputs_of(cohort), cohort.labels
    train, val = cohort.rows("train"), cohort.rows("val")
    losses, answers = [], []
    for strength in STRENGTHS:
        regression = LogisticRegression(
            C=1 / (len(train) * strength), class_weight=cohort.class_weight, max_iter=5000, tol=1e-8
        ).fit(inputs[train], labels[train])
        answers.append(regression.predict_proba(inputs))
        losses.append(log_loss(labels[val], answers[-1][val]))
    head = fit_linear_head(cohort)
    assert [fit.val_log_loss for fit in head.fits] == pytest.approx(losses, rel=1e-2)
    features = [np.load(features_folder(one) / FEATURES) for one in model_row(name_of(cohort)).backbones]
    found = head.probabilities(np.concatenate(features, axis=1))
    assert found == pytest.approx(answers[int(np.argmin(losses))], abs=5e-3)


@pytest.mark.parametrize("cohort", HEADS, indirect=True)
def test_keras_reads_the_head_and_answers_the_same(cohort: Cohort, tmp_path: Path) -> None:
    name = name_of(cohort)
    outcome = train_head(name, cohort, tmp_path, silent)
    head = head_of(name, len(cohort.classes), cohort.train)
    head.load_weights(tmp_path / MODEL_WEIGHTS)
    assert probabilities(head, cohort.features(None)) == pytest.approx(outcome.probabilities, abs=1e-5)
    assert head.count_params() == outcome.parameters
    trained = train_model(name, cohort, tmp_path, silent)
    for mine, other in zip(head.get_weights(), trained.network.get_weights(), strict=True):
        assert np.array_equal(mine, other), "the head that fine-tuning starts from is another"


@pytest.mark.parametrize("cohort", ["softmax"], indirect=True)
def test_every_strength_and_the_chosen_one_are_recorded(cohort: Cohort, tmp_path: Path) -> None:
    heard: list[int] = []
    outcome = train_head(ONE, cohort, tmp_path, lambda number, _metrics: heard.append(number))
    best = outcome.history.loc[outcome.history["val_log_loss"].idxmin()]
    assert outcome.choice["chosen"] == {"strength": best["strength"]}
    assert [row["strength"] for row in outcome.choice["candidates"]] == list(STRENGTHS)
    losses = [row["val_log_loss"] for row in outcome.choice["candidates"]]
    assert outcome.history["val_log_loss"].tolist() == pytest.approx(losses)
    assert heard == list(range(1, len(STRENGTHS) + 1))


def test_the_list_reaches_penalties_too_weak_and_too_strong_for_many_images() -> None:
    """Several hundred images of a cohort support coefficients that a few dozen do not."""
    labels, rng = np.arange(900) % 3, np.random.default_rng(7)
    features = rng.normal(2.0, 3.0, (900, 20))
    features[:, :3] += 2 * np.eye(3)[labels]
    scaled = (features - features[:600].mean(axis=0)) / features[:600].std(axis=0)
    train, val = (Labelled(scaled[rows], np.eye(3)[labels[rows]]) for rows in (slice(600), slice(600, None)))
    losses = [fit.val_log_loss for fit in fit_strengths(train, val, 3, None)]
    assert STRENGTHS[0] < STRENGTHS[int(np.argmin(losses))] < 0.3
