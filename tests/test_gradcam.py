"""Heat maps: where a network must look they are hot, and they follow from its weights."""

import functools

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers
from small_networks import build, images, large_are_slow, numbers, same_weights, with_settings

from bonexray.backbones.encoder import build_encoder
from bonexray.base.errors import BonexrayError
from bonexray.explain.feature_maps import SplitNetwork, split_at_layer, split_network
from bonexray.explain.gradcam import class_scores, heat_maps
from bonexray.explain.sanity import STATISTICS, likeness, randomise
from bonexray.networks import trainable
from bonexray.networks.ordinal import Ordinal
from bonexray.networks.standardize import Standardize
from bonexray.networks.trainable import HEAD, build_trainable
from bonexray.registry import BACKBONES, FINE_TUNE, FULL, REGISTRY, SCRATCH, model_row
from bonexray.runtime import gradients

PX, CORNER = 16, 4
COVERED_BY_OTHERS = {
    "densenet169",
    "vgg19",
    "inception_v3_xception",
    "resnet50_densenet121",
}  # a second pass adds nothing
BOTH = np.array([0, 2])
OTHER_OUTPUTS = [{"output": output} for output in ("sigmoid", "cumulative", "corn")]


built_encoder = functools.cache(build_encoder)  # no test that draws weights anew uses it


def complete(name: str, mode: str | None = None, **changes: object) -> keras.Model:
    """A model from image to classes, its standardisation as if fitted."""
    mode = mode or (FINE_TUNE if model_row(name).backbones else SCRATCH)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainable, "build_encoder", built_encoder)
        network = build(name, mode, with_settings(**changes))
    rng = np.random.default_rng(3)
    if HEAD in {layer.name for layer in network.layers}:
        for weight in network.get_layer(HEAD).weights:
            if weight.name in STATISTICS:
                weight.assign(rng.uniform(0.5, 1.5, weight.shape) * 1e-3)
    return network


def small() -> keras.Model:
    """A network of every kind of weight, with a layer called `maps`."""
    image = keras.Input((PX, PX, 1))
    maps = layers.Conv2D(8, 3, padding="same", name="maps")(image)
    x = layers.BatchNormalization()(layers.DepthwiseConv2D(3)(maps))
    x = Standardize()(layers.Flatten()(x))
    return keras.Model(image, layers.Dense(3, activation="softmax", name="classes")(x))


def looks_at_a_corner(units: int = 3, activation: str = "softmax") -> keras.Model:
    """A network to which the upper left corner alone matters; its last class, or its only unit, is for brightness."""
    image = keras.Input((PX, PX, 1))
    corner = layers.Cropping2D(((0, PX - CORNER), (0, PX - CORNER)))(image)
    maps = layers.ZeroPadding2D(((0, PX - CORNER), (0, PX - CORNER)), name="maps")(corner)
    classes = layers.Dense(units, activation=activation, name="classes")
    network = keras.Model(image, classes(layers.GlobalAveragePooling2D()(maps)))
    classes.set_weights([np.linspace(-1, 1, units)[None] if units > 1 else np.ones((1, 1)), np.zeros(units)])
    return network


def maps_of(split: SplitNetwork, pictures: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    return heat_maps(split, split.feature_maps(pictures), chosen, pictures.shape[1])


# Where the heat is


def test_what_looks_at_a_corner_is_hot_there_and_nowhere_else() -> None:
    heat = maps_of(split_at_layer(looks_at_a_corner(), "maps"), images(PX), np.array([2, 2]))
    assert heat[:, :CORNER, :CORNER].max(axis=(1, 2)) == pytest.approx(1)
    assert heat[:, :CORNER, :CORNER].min() > 0
    assert not heat[:, CORNER:].any() and not heat[:, :, CORNER:].any()


def test_nothing_speaks_for_a_class_that_brightness_speaks_against() -> None:
    heat = maps_of(split_at_layer(looks_at_a_corner(), "maps"), images(PX), np.array([0, 2]))
    assert not heat[0].any() and heat[1].any()


def test_one_sigmoid_speaks_for_the_second_class_and_against_the_first() -> None:
    heat = maps_of(split_at_layer(looks_at_a_corner(1, "sigmoid"), "maps"), images(PX), np.array([0, 1]))
    assert not heat[0].any() and heat[1].max() == 1


@pytest.mark.parametrize("output", ["cumulative", "corn"])
def test_grades_are_spoken_for_by_passing_the_one_before_and_the_lowest_by_not_passing_it(output: str) -> None:
    image = keras.Input((PX, PX, 1))
    maps = layers.Activation("linear", name="maps")(image)
    classes = Ordinal(3, output, name="classes")
    network = keras.Model(image, classes(layers.GlobalAveragePooling2D()(maps)))
    classes.kernel.assign(np.ones(classes.kernel.shape))
    split = split_at_layer(network, "maps")
    scores = numbers(split.class_logits(split.feature_maps(images(PX, 1))))
    heat = maps_of(split, images(PX, 3), np.arange(3))
    assert scores.shape == (1, 3) and scores[0, 0] == -scores[0, 1]
    assert not heat[0].any() and heat[1].max() == heat[2].max() == 1


def test_a_score_is_the_logit_of_the_class() -> None:
    logits = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], np.float32)
    assert list(numbers(class_scores(logits, BOTH))) == [1, 6]
    assert list(numbers(class_scores(logits[:, :1], np.array([0, 1])))) == [-1, 4]


def test_what_is_the_same_everywhere_is_a_map_of_ones() -> None:
    network = looks_at_a_corner()
    split = split_at_layer(network, network.layers[0].name)
    heat = heat_maps(split, [np.ones((1, PX, PX, 1), np.float32)], np.array([2]), PX)
    assert (heat == 1).all()


def test_a_gradient_that_is_no_number_is_refused() -> None:
    split = split_at_layer(looks_at_a_corner(), "maps")
    with pytest.raises(BonexrayError, match="finite"):
        heat_maps(split, [np.full((1, PX, PX, 1), np.nan, np.float32)], np.array([2]), PX)


def test_gradients_are_those_of_the_formula() -> None:
    one, other, unused = (np.array(values, np.float32) for values in ([1, 2], [3, 4], [5]))
    found = gradients(lambda values: values[0] ** 2 * values[1], [one, other, unused])
    assert [list(numbers(slope)) for slope in found] == [[6, 16], [1, 4], [0]]


# Every network


@pytest.mark.parametrize("name", large_are_slow(REGISTRY))
def test_every_model_has_maps_and_its_two_parts_give_its_outputs(name: str) -> None:
    network, pictures = complete(name), images(model_row(name).smallest_px)
    split = split_network(network, name)
    maps = split.feature_maps(pictures)
    if name not in COVERED_BY_OTHERS:
        expected = numbers(network(pictures, training=False))
        assert numbers(split.probabilities(maps)) == pytest.approx(expected, abs=1e-5)
    heat = heat_maps(split, maps, BOTH, pictures.shape[1])
    assert heat.shape == pictures.shape[:3]
    assert heat.min() >= 0 and heat.max() <= 1
    assert all(picture.max() in (0, pytest.approx(1)) for picture in heat)
    assert len(maps) == max(1, len(model_row(name).backbones))


@pytest.mark.parametrize("changes", [*OTHER_OUTPUTS, {"standardize": False}, {"head": "bare"}], ids=str)
@pytest.mark.parametrize("mode", [FINE_TUNE, FULL])
def test_every_kind_of_head_can_be_explained(mode: str, changes: dict) -> None:
    network = complete("mobilenet_v2", mode, **changes)
    split = split_network(network, "mobilenet_v2")
    assert bool(split.offsets[0].any()) == (mode != FULL and changes.get("standardize", True))
    found = numbers(split.probabilities(split.feature_maps(images(32))))
    assert found == pytest.approx(numbers(network(images(32), training=False)), abs=1e-5)


def test_the_layers_looked_at_are_the_last_with_places() -> None:
    """What follows them in the backbone only pools, or normalises what is pooled."""
    pools = {"InputLayer", "MaxPooling2D", "GlobalAveragePooling2D", "LayerNormalization"}
    for name in ("vgg16", "convnext_tiny", "resnet18"):
        body = complete(name).get_layer(f"{name}_encoder").get_layer(name)
        at = [layer.name for layer in body.layers].index(BACKBONES[name].heat_map)
        assert {type(layer).__name__ for layer in body.layers[at + 1 :]} <= pools


@pytest.mark.parametrize("name", ["mobilenet_v2", "vgg16"])
def test_what_a_head_subtracts_is_subtracted_from_the_maps(name: str) -> None:
    """The same network, standardising before it pools, has the same heat maps."""
    keras.utils.set_random_seed(7)
    network, px, chosen = build_trainable(name, FINE_TUNE, 64, 3, with_settings()), 32, np.array([0, 1, 2] * 2)
    head = network.get_layer(HEAD)
    rng = np.random.default_rng(3)
    head.get_layer("standardize").set_weights(rng.uniform(0.5, 1.5, (2, BACKBONES[name].features)))
    split = split_network(network, name)
    maps = [rng.uniform(0, 3, (6, *split.upper.input.shape[1:])).astype(np.float32)]
    early = Standardize(name="early")
    entry = keras.Input(maps[0].shape[1:])
    x = early(entry)
    if name == "vgg16":
        x = layers.MaxPooling2D(2)(x)
    x = layers.GlobalAveragePooling2D()(x)
    for layer in head.layers[2:]:
        copy = type(layer).from_config(layer.get_config())
        x = copy(x)
        copy.set_weights(layer.get_weights())
    early.set_weights(head.get_layer("standardize").get_weights())
    other = split_at_layer(keras.Model(entry, x), "early")
    expected = heat_maps(other, other.feature_maps(maps[0]), chosen, px)
    assert heat_maps(split, maps, chosen, px) == pytest.approx(expected, abs=1e-3)
    assert np.ptp(expected) > 0


def test_a_fusion_averages_the_maps_of_its_backbones() -> None:
    network, pictures = complete("vgg16_vgg19"), images(32)
    split = split_network(network, "vgg16_vgg19")
    maps = split.feature_maps(pictures)
    whole = heat_maps(split, maps, BOTH, 32)
    apart = []
    for kept in range(2):
        offsets = [part if number == kept else numbers(maps[number]) for number, part in enumerate(split.offsets)]
        alone = SplitNetwork(split.feature_maps, split.upper, split.class_layer, offsets)
        apart.append(heat_maps(alone, maps, BOTH, 32))  # the other map, measured from itself, is zero
    mean = np.mean(apart, axis=0)
    assert whole == pytest.approx(mean / np.maximum(mean.max(axis=(1, 2), keepdims=True), 1e-12), abs=1e-6)


# Sanity


def test_maps_change_where_the_weights_are_drawn_anew() -> None:
    pictures = images(PX, 6)
    network = small()
    split = split_at_layer(network, "maps")
    chosen = np.array([0, 1, 2] * 2)
    before = maps_of(split, pictures, chosen)
    assert likeness(before, maps_of(split, pictures, chosen)) == pytest.approx(1)
    randomise(network.weights, 1)
    assert likeness(before, maps_of(split, pictures, chosen)).max() < 0.999


def test_random_weights_depend_on_the_seed_alone_and_leave_statistics_of_the_data() -> None:
    one, other, third = small(), small(), small()
    for weight in one.weights:
        weight.assign(weight + 2)
    statistics = [numbers(weight) for weight in one.weights if weight.name in STATISTICS]
    randomise(one.weights, 5)
    kept = [numbers(weight) for weight in one.weights if weight.name in STATISTICS]
    assert len(kept) == 2 and all(np.array_equal(a, b) for a, b in zip(statistics, kept, strict=True))
    randomise(other.weights, 5)
    randomise(third.weights, 6)
    assert same_weights(
        keras.Model(one.input, one.get_layer("maps").output), keras.Model(other.input, other.get_layer("maps").output)
    )
    assert not same_weights(other, third)


@pytest.mark.parametrize("name", ["mobilenet_v2", "resnet18"])
def test_a_random_network_still_computes_numbers(name: str) -> None:
    encoder = build_encoder(name, 32)
    randomise(encoder.weights, 7)
    features = encoder(images(32), training=False)
    assert np.isfinite(numbers(features)).all() and np.ptp(numbers(features)) > 1e-12


ramp, flat, nothing = np.arange(16.0).reshape(4, 4) / 15, np.ones((4, 4)), np.zeros((4, 4))
PAIRS: dict[str, tuple[np.ndarray, np.ndarray, float]] = {
    "equal": (ramp, ramp, 1),
    "reversed": (ramp, 1 - ramp, -1),
    "the same order": (ramp, ramp**3, 1),
    "both nothing": (nothing, nothing, 1),
    "both flat": (flat, flat, 1),
    "nothing and flat": (nothing, flat, 0),
    "nothing and something": (nothing, ramp, 0),
}


@pytest.mark.parametrize(("one", "other", "expected"), PAIRS.values(), ids=PAIRS)
def test_likeness_is_a_number_for_every_pair(one: np.ndarray, other: np.ndarray, expected: float) -> None:
    assert likeness(one[None], other[None]) == pytest.approx([expected])


@settings(max_examples=30, derandomize=True)
@given(st.integers(0, 10**6))
def test_likeness_is_symmetric_and_bounded(seed: int) -> None:
    one, other = np.random.default_rng(seed).random((2, 3, 5, 5))
    assert likeness(one, other) == pytest.approx(likeness(other, one))
    assert (np.abs(likeness(one, other)) <= 1).all()
