"""Heads on pooled features: their layers, their order, their output, and which model has which."""

from collections.abc import Iterator

import keras
import numpy as np
import pytest
from small_networks import CLASSES, SETTINGS, build, every_model, first_mode, kinds, network_of, numbers, with_settings

from bonexray.networks.heads import HEADS, STANDARDIZE, build_head
from bonexray.networks.trainable import HEAD, build_trainable, head_of
from bonexray.registry import FINE_TUNE, FROZEN, FULL, REGISTRY, SCRATCH, model_row

PLAIN = with_settings(standardize=False)
every_kind = pytest.mark.parametrize("kind", HEADS)
with_backbones = pytest.mark.parametrize("name", [name for name, row in REGISTRY.items() if row.backbones])


@pytest.fixture
def half_precision() -> Iterator[None]:
    keras.config.set_dtype_policy("mixed_float16")
    yield
    keras.config.set_dtype_policy("float32")


def test_the_standard_head_is_dropout_dense_128_dropout_classes() -> None:
    head = build_head({"a": 5}, CLASSES, PLAIN)
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
    head = build_head({"a": 5, "b": 3}, CLASSES, PLAIN, "late_fusion")
    assert kinds(head) == ["Concatenate", "Dense", "Dropout", "Dense"]
    dense = head.get_layer("dense")
    assert (dense.units, dense.activation.__name__, head.get_layer("dropout").rate) == (256, "relu", 0.5)


@with_backbones
@pytest.mark.parametrize("setting", ["standard", "bare"])
def test_only_late_fusion_has_a_head_of_its_own(name: str, setting: str) -> None:
    kind = "late_fusion" if name == "late_fusion" else setting
    head = head_of(name, CLASSES, with_settings(head=setting))
    widths = {entry.name: entry.shape[1] for entry in head.inputs}
    assert kinds(head) == kinds(build_head(widths, CLASSES, SETTINGS, kind))
    dense = [layer.units for layer in head.layers if isinstance(layer, keras.layers.Dense)]
    assert dense == {"standard": [128, 3], "bare": [3], "late_fusion": [256, 3]}[kind]


def test_both_dropout_rates_are_settings() -> None:
    head = build_head({"a": 5}, CLASSES, with_settings(dropout=0.1, dropout_2=0.2))
    assert (head.get_layer("dropout").rate, head.get_layer("dropout_2").rate) == (0.1, 0.2)


# Features


@every_kind
def test_a_head_that_standardises_begins_with_it(kind: str) -> None:
    head = build_head({"a": 5}, CLASSES, SETTINGS, kind)
    assert kinds(head)[0] == "Standardize"
    assert head.get_layer(STANDARDIZE).trainable_weights == []
    assert kinds(build_head({"a": 5}, CLASSES, PLAIN, kind)) == kinds(head)[1:]


@every_kind
def test_a_fusion_is_standardised_after_it_is_joined(kind: str) -> None:
    assert kinds(build_head({"a": 2, "b": 3}, CLASSES, SETTINGS, kind))[:2] == ["Concatenate", "Standardize"]


def test_a_fusion_head_joins_its_inputs_in_their_order() -> None:
    bare = with_settings(head="bare", standardize=False)
    fusion, single = build_head({"a": 2, "b": 3}, CLASSES, bare), build_head({"ab": 5}, CLASSES, bare)
    fusion.set_weights(single.get_weights())
    a, b = np.ones((1, 2), np.float32), np.arange(3, dtype=np.float32)[None]
    joined = numbers(single([np.concatenate([a, b], axis=1)]))
    assert [entry.name for entry in fusion.inputs] == ["a", "b"]
    assert numbers(fusion([a, b])) == pytest.approx(joined)


@with_backbones
def test_a_models_head_takes_its_backbones_in_the_registrys_order(name: str) -> None:
    assert [entry.name for entry in network_of(name, FROZEN).inputs] == list(model_row(name).backbones)


@pytest.mark.parametrize(("mode", "standardized"), [(FROZEN, True), (FINE_TUNE, True), (FULL, False)])
@pytest.mark.parametrize("name", ["mobilenet_v2", "vgg16_vgg19"])
def test_features_are_standardised_unless_every_layer_is_trained(name: str, mode: str, standardized: bool) -> None:
    network = build(name, mode)
    head = network if mode == FROZEN else network.get_layer(HEAD)
    assert (STANDARDIZE in [layer.name for layer in head.layers]) == standardized


# Output


@every_model
def test_one_sigmoid_answers_for_two_classes(name: str) -> None:
    settings = with_settings(output="sigmoid")
    network = build_trainable(name, first_mode(name), model_row(name).smallest_px, 2, settings)
    assert network.output_shape == (None, 1)
    assert network.get_layer("classes").activation.__name__ == "sigmoid"


@every_kind
@pytest.mark.parametrize("classes", [2, 3, 6])
def test_a_softmax_has_a_unit_a_class(kind: str, classes: int) -> None:
    head = build_head({"a": 5}, classes, SETTINGS, kind)
    assert head.output_shape == (None, classes)
    assert head.get_layer("classes").activation.__name__ == "softmax"


@pytest.mark.parametrize(("name", "mode"), [("vgg16", FROZEN), ("vgg16", FINE_TUNE), ("compact_cnn", SCRATCH)])
@pytest.mark.parametrize("output", ["softmax", "sigmoid"])
def test_probabilities_are_32_bit_numbers_in_half_precision_too(
    name: str, mode: str, output: str, half_precision: None
) -> None:
    network = build_trainable(name, mode, 32, 2, with_settings(output=output))
    assert network.output.dtype == "float32"
