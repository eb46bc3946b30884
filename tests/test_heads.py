"""Test the heads on pooled features: their layers, inputs and outputs, and which model has which."""

from collections.abc import Iterator

import keras
import numpy as np
import pytest
from small_networks import (
    CLASSES,
    SETTINGS,
    build,
    every_model,
    first_mode,
    inputs_of,
    kinds,
    network_of,
    numbers,
    outputs_of,
    with_settings,
)

from bonexray.networks.heads import HEADS, STANDARDIZE, build_head
from bonexray.networks.trainable import HEAD, build_trainable, head_of
from bonexray.registry import FINE_TUNE, FROZEN, FULL, ORDINAL, REGISTRY, SCRATCH, model_row

NOT_STANDARDIZED = with_settings(standardize=False)
every_kind = pytest.mark.parametrize("kind", HEADS)
with_backbones = pytest.mark.parametrize("name", [name for name, row in REGISTRY.items() if row.backbones])


def dense_units(head: keras.Model) -> list[int]:
    return [layer.units for layer in head.layers if isinstance(layer, keras.layers.Dense)]


@pytest.fixture
def half_precision() -> Iterator[None]:
    keras.config.set_dtype_policy("mixed_float16")
    yield
    keras.config.set_dtype_policy("float32")


def test_the_standard_head_is_dropout_dense_128_dropout_classes() -> None:
    head = build_head({"a": 5}, CLASSES, NOT_STANDARDIZED)
    assert kinds(head) == ["Dropout", "Dense", "Dropout", "Dense"]
    dense = head.get_layer("dense")
    assert (dense.units, dense.activation.__name__) == (128, "relu")
    assert (head.get_layer("dropout").rate, head.get_layer("dropout_2").rate) == (0.5, 0.3)


def test_the_bare_head_is_dropout_and_classes() -> None:
    head = build_head({"a": 5}, CLASSES, with_settings(head="bare", standardize=False))
    assert kinds(head) == ["Dropout", "Dense"]
    assert head.get_layer("dropout").rate == 0.5
    assert head.get_layer("classes").units == CLASSES


def test_the_late_fusion_head_is_dense_256_dropout_classes() -> None:
    head = build_head({"a": 5, "b": 3}, CLASSES, NOT_STANDARDIZED, "late_fusion")
    assert kinds(head) == ["Concatenate", "Dense", "Dropout", "Dense"]
    dense = head.get_layer("dense")
    assert (dense.units, dense.activation.__name__, head.get_layer("dropout").rate) == (256, "relu", 0.5)


@with_backbones
@pytest.mark.parametrize("setting", ["standard", "bare"])
def test_a_model_has_the_head_in_its_row_or_else_in_the_settings(name: str, setting: str) -> None:
    kind = model_row(name).head or setting
    head = head_of(name, CLASSES, with_settings(head=setting))
    widths = {entry.name: entry.shape[1] for entry in head.inputs}
    expected = build_head(widths, CLASSES, SETTINGS, kind)
    assert kinds(head) == kinds(expected)
    assert dense_units(head) == dense_units(expected)


def test_both_dropout_rates_are_settings() -> None:
    head = build_head({"a": 5}, CLASSES, with_settings(dropout=0.1, dropout_2=0.2))
    assert (head.get_layer("dropout").rate, head.get_layer("dropout_2").rate) == (0.1, 0.2)


# Features


@every_kind
def test_a_head_standardises_its_features_first(kind: str) -> None:
    head = build_head({"a": 5}, CLASSES, SETTINGS, kind)
    assert kinds(head)[0] == "Standardize"
    assert head.get_layer(STANDARDIZE).trainable_weights == []
    assert kinds(build_head({"a": 5}, CLASSES, NOT_STANDARDIZED, kind)) == kinds(head)[1:]


@every_kind
def test_a_fusion_is_standardised_after_concatenation(kind: str) -> None:
    assert kinds(build_head({"a": 2, "b": 3}, CLASSES, SETTINGS, kind))[:2] == ["Concatenate", "Standardize"]


def test_a_fusion_head_concatenates_its_inputs_in_order() -> None:
    bare = with_settings(head="bare", standardize=False)
    fusion, single = build_head({"a": 2, "b": 3}, CLASSES, bare), build_head({"ab": 5}, CLASSES, bare)
    fusion.set_weights(single.get_weights())
    a, b = np.ones((1, 2), np.float32), np.arange(3, dtype=np.float32)[None]
    expected = numbers(single([np.concatenate([a, b], axis=1)]))
    assert [entry.name for entry in fusion.inputs] == ["a", "b"]
    assert numbers(fusion([a, b])) == pytest.approx(expected)


@with_backbones
def test_a_head_takes_the_backbones_in_the_order_of_the_row(name: str) -> None:
    assert [entry.name for entry in network_of(name, FROZEN).inputs] == list(model_row(name).backbones)


@pytest.mark.parametrize(("mode", "standardized"), [(FROZEN, True), (FINE_TUNE, True), (FULL, False)])
@pytest.mark.parametrize("name", ["mobilenet_v2", "vgg16_vgg19"])
def test_features_are_standardised_unless_every_layer_is_trained(name: str, mode: str, standardized: bool) -> None:
    network = build(name, mode)
    head = network if mode == FROZEN else network.get_layer(HEAD)
    assert (STANDARDIZE in [layer.name for layer in head.layers]) == standardized


# Output


@every_model
def test_two_classes_may_share_one_sigmoid(name: str) -> None:
    settings = with_settings(output="sigmoid")
    network = build_trainable(name, first_mode(name), model_row(name).smallest_px, 2, settings)
    assert network.output_shape == (None, 1)
    assert network.get_layer("classes").activation.__name__ == "sigmoid"


@every_kind
@pytest.mark.parametrize("output", ORDINAL)
def test_an_ordinal_head_gives_a_probability_for_each_class(kind: str, output: str) -> None:
    head = build_head({"a": 5}, 4, with_settings(output=output), kind)
    answers = outputs_of(head, inputs_of(head))
    assert answers.shape == (4, 4)
    assert answers.sum(axis=1) == pytest.approx(1, abs=1e-6)
    slopes, logits = (tuple(weight.shape) for weight in head.get_layer("classes").weights)
    assert (slopes[1], logits) == ({"cumulative": 1, "corn": 3}[output], (3,))


@every_kind
@pytest.mark.parametrize("classes", [2, 3, 6])
def test_a_softmax_has_one_unit_per_class(kind: str, classes: int) -> None:
    head = build_head({"a": 5}, classes, SETTINGS, kind)
    assert head.output_shape == (None, classes)
    assert head.get_layer("classes").activation.__name__ == "softmax"


@pytest.mark.parametrize(("name", "mode"), [("vgg16", FROZEN), ("vgg16", FINE_TUNE), ("compact_cnn", SCRATCH)])
@pytest.mark.parametrize("output", ["softmax", "sigmoid", "cumulative", "corn"])
def test_probabilities_stay_32_bit_in_half_precision(name: str, mode: str, output: str, half_precision: None) -> None:
    network = build_trainable(name, mode, 32, 3 if output in ORDINAL else 2, with_settings(output=output))
    assert network.output.dtype == "float32"
