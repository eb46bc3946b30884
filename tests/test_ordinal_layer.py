"""The class layer for ordered classes: the answers of the table of outputs, trained to the optimum of the regression."""

from pathlib import Path

import keras
import numpy as np
import pytest
from cohorts import numbers, silent, with_settings
from sklearn.utils.class_weight import compute_sample_weight
from test_ordinal import every_output, planted

from bonexray.networks.heads import build_head
from bonexray.networks.ordinal import LOG_PROBABILITIES, Descending, Ordinal, by_class
from bonexray.networks.outputs import GAP, OUTPUTS
from bonexray.networks.settings import HeadSettings
from bonexray.registry import ORDINAL
from bonexray.train.batches import Batches, targets_of
from bonexray.train.fit import Phase, fit
from bonexray.train.ordinal import SOLVERS
from bonexray.train.regression import probabilities_of
from bonexray.train.settings import ModelRow


def layer_of(output: str, classes: int = 4, width: int = 3) -> Ordinal:
    layer = Ordinal(classes, output)
    layer.build((None, width))
    return layer


def test_every_table_has_the_same_outputs() -> None:
    assert list(ORDINAL) == list(SOLVERS) == list(LOG_PROBABILITIES)
    assert set(HeadSettings.model_fields["output"].annotation.__args__) == set(OUTPUTS) > set(ORDINAL)
    (own, _) = ModelRow.model_fields["output"].annotation.__args__
    assert list(own.__args__) == list(ORDINAL)


@every_output
def test_the_layer_answers_as_the_table_of_outputs(output: str) -> None:
    layer, rng = layer_of(output), np.random.default_rng(7)
    layer.kernel.assign(rng.normal(size=layer.kernel.shape))
    layer.bias.assign([2.0, 0.5, -1.0])
    features = rng.normal(scale=3, size=(20, 3)).astype(np.float32)
    logits = features @ numbers(layer.kernel) + numbers(layer.bias)
    assert numbers(layer(features)) == pytest.approx(OUTPUTS[output](logits), abs=1e-6)
    copy = Ordinal.from_config(layer.get_config())
    assert (copy.classes, copy.kind) == (4, output)


@every_output
def test_the_layer_starts_with_equally_probable_grades(output: str) -> None:
    answers = numbers(layer_of(output)(np.zeros((1, 3), np.float32)))
    assert answers == pytest.approx(0.25, abs=1e-6)


def test_thresholds_stay_in_falling_order() -> None:
    kept = numbers(Descending()(keras.ops.convert_to_tensor([1.0, 2.0, 0.0, 0.0])))
    assert kept == pytest.approx([1.0, 1.0 - GAP, 0.0, -GAP], abs=1e-6)


def test_no_step_of_training_puts_thresholds_out_of_order() -> None:
    network = keras.Sequential([keras.Input((3,)), layer := layer_of("cumulative")])
    network.compile(keras.optimizers.SGD(50.0), "categorical_crossentropy")
    targets = np.eye(4, dtype=np.float32)[[0, 3, 0, 3]]  # nothing in between, which pushes the thresholds together
    network.train_on_batch(np.zeros((4, 3), np.float32), targets)
    assert np.diff(numbers(layer.bias)).max() <= -0.99 * GAP


@every_output
def test_a_head_trained_by_gradients_arrives_at_the_regression(output: str, tmp_path: Path) -> None:
    features, labels = planted(400)
    features = features.astype(np.float32)
    settings = with_settings(
        head="linear", standardize=False, output=output, class_weights="balanced", batch_images=400, epochs=120,
        learning_rate=0.1, patience=120, weight_decay=0.0,
    )  # fmt: skip
    keras.utils.set_random_seed(7)
    head = build_head({"a": 3}, 4, settings)
    batches = Batches([lambda rows, _epoch: features[rows]], targets_of(labels, 4, settings), np.arange(400), 400)
    weights = {grade: 400 / 4 / count for grade, count in enumerate(np.bincount(labels))}
    history = fit(head, batches, batches, weights, settings, Phase("head", 120, 0.1), tmp_path / "a.weights.h5", silent)
    each = compute_sample_weight("balanced", labels)
    expected = probabilities_of(SOLVERS[output](features.astype(float), labels, 4, each, 1e-9), features, output)
    assert numbers(head(features)) == pytest.approx(expected, abs=0.01)
    of_truth = expected[np.arange(400), labels]
    assert history["val_log_loss"].iloc[-1] == pytest.approx(-np.log(of_truth).mean(), abs=0.01)
    assert history["loss"].iloc[-1] == pytest.approx(-(each * np.log(of_truth)).mean(), abs=0.01)


@every_output
def test_gradients_are_numbers_where_logits_are_extreme(output: str) -> None:
    layer = layer_of(output)
    layer.bias.assign([30.0, 30.0, -30.0])  # of a grade without training images, see `train.ordinal`
    network = keras.Sequential([keras.Input((3,)), layer])
    network.compile(keras.optimizers.SGD(0.1), "categorical_crossentropy")
    network.train_on_batch(np.full((4, 3), 50, np.float32), np.eye(4, dtype=np.float32))
    assert all(np.isfinite(numbers(weight)).all() for weight in network.weights)


def test_the_evidence_for_a_grade_is_that_for_passing_the_one_before() -> None:
    assert numbers(by_class(np.array([[2.0, -3.0]], np.float32))).tolist() == [[-2.0, 2.0, -3.0]]
