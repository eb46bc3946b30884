"""Test every network of the registry against its row: layers, inputs, trained and saved weights."""

import math
from pathlib import Path

import keras
import numpy as np
import pytest
from small_networks import (
    CLASSES,
    SCRATCH_MODELS,
    build,
    changed_by_a_step,
    encoder_of,
    every_backbone,
    every_model,
    every_scratch_model,
    first_mode,
    ids,
    images,
    inputs_of,
    kernels,
    large_are_slow,
    network_of,
    numbers,
    outputs_of,
    published_preprocessing,
)

from bonexray.backbones.encoder import CONVENTION, CONVENTIONS, to_convention
from bonexray.base.errors import BonexrayError
from bonexray.networks.trainable import HEAD, backbone_of
from bonexray.registry import (
    BACKBONES,
    FINE_TUNE,
    FULL,
    MODES,
    REGISTRY,
    SCRATCH,
    builder_of,
    model_row,
)

FINE_TUNED = [*BACKBONES, "resnet50_densenet121"]  # one fusion stands for all: building them takes long
WHOLE = {**dict.fromkeys(FINE_TUNED, FINE_TUNE), **dict.fromkeys(SCRATCH_MODELS, SCRATCH)}
TRAINED_IN_FULL = ["mobilenet_v2", "resnet18", "late_fusion"]  # the cheapest, and a fusion
RELOADED_AT_ONCE = [
    *SCRATCH_MODELS,
    "mobilenet_v2",
    "vit_tiny",
    "resnet50_densenet121",
]  # each kind; all others are slow
every_whole_network = pytest.mark.parametrize("name", large_are_slow(WHOLE))


# The table


@every_backbone
def test_a_backbone_is_also_a_model_of_that_name(name: str) -> None:
    assert REGISTRY[name].backbones == (name,)


@every_model
def test_the_backbones_of_a_model_have_rows(name: str) -> None:
    assert set(model_row(name).backbones) <= set(BACKBONES)


@every_model
def test_modes_depend_on_whether_a_model_has_backbones(name: str) -> None:
    assert model_row(name).modes == (MODES if model_row(name).backbones else (SCRATCH,))


@every_backbone
def test_a_backbone_is_built_by_keras_or_by_its_own_module(name: str) -> None:
    builder = BACKBONES[name].builder
    assert hasattr(keras.applications, builder) if builder else callable(builder_of(name).build)


def test_titles_are_unique() -> None:
    assert len({row.title for row in REGISTRY.values()}) == len(REGISTRY)


def test_an_unknown_model_is_refused_with_all_names() -> None:
    with pytest.raises(BonexrayError, match=f"one of {', '.join(REGISTRY)}, received 'resnet'"):
        model_row("resnet")


# Layers


@every_model
def test_a_model_of_the_smallest_size_outputs_probabilities(name: str) -> None:
    network = network_of(name, first_mode(name))
    probabilities = outputs_of(network, inputs_of(network))
    assert network.output_shape == (None, CLASSES)
    assert probabilities.shape == (4, CLASSES)
    assert (probabilities >= 0).all()
    assert probabilities.sum(axis=1) == pytest.approx(1, abs=1e-5)


@every_model
def test_a_model_takes_the_features_of_each_backbone_or_the_image(name: str) -> None:
    row, network = model_row(name), network_of(name, first_mode(name))
    widths = {backbone: (None, BACKBONES[backbone].features) for backbone in row.backbones}
    expected = widths or {"image": (None, row.min_px, row.min_px, 1)}
    assert {entry.name: entry.shape for entry in network.inputs} == expected


@every_whole_network
def test_a_network_with_its_backbones_maps_images_to_probabilities(name: str) -> None:
    network, px = network_of(name, WHOLE[name]), model_row(name).smallest_px
    assert [entry.shape for entry in network.inputs] == [(None, px, px, 1)]
    assert network.output_shape == (None, CLASSES)
    assert outputs_of(network, images(px)).sum(axis=1) == pytest.approx(1, abs=1e-5)


@every_backbone
def test_an_encoder_outputs_as_many_features_as_its_row_says(name: str) -> None:
    features = numbers(encoder_of(name)(images(BACKBONES[name].min_px)))
    assert features.shape == (2, BACKBONES[name].features)
    assert np.isfinite(features).all()
    assert features.std(axis=0).max() > 0


@every_backbone
def test_the_heat_map_layer_follows_every_kernel_and_has_one_map_per_feature(name: str) -> None:
    row, backbone = BACKBONES[name], encoder_of(name).get_layer(name)
    maps = backbone.get_layer(row.heat_map).output
    assert len(maps.shape) == 4
    assert min(maps.shape[1:3]) >= 1
    assert maps.shape[3] == row.features
    assert kernels(backbone.weights) <= ids(keras.Model(backbone.input, maps).weights)


@every_scratch_model
def test_the_heat_map_layer_of_a_network_from_scratch_belongs_to_its_last_convolution(name: str) -> None:
    network = network_of(name, SCRATCH)
    maps = network.get_layer(model_row(name).heat_map).output
    taught = keras.Model(network.input, maps) if model_row(name).locator else network  # its map comes after, from these
    last = [layer for layer in taught.layers if isinstance(layer, keras.layers.Conv2D)][-1]
    assert len(maps.shape) == 4
    assert min(maps.shape[1:3]) >= 1
    assert maps.shape == last.output.shape
    assert last in keras.Model(network.input, maps).layers


# Inputs of a backbone


@every_backbone
def test_an_encoder_prepares_images_as_its_publisher_does(name: str) -> None:
    px, encoder = BACKBONES[name].min_px, encoder_of(name)
    gray = images(px)
    prepared = numbers(keras.Model(encoder.input, encoder.get_layer(CONVENTION).output)(gray))
    assert prepared.shape == (2, px, px, 3)
    expected = published_preprocessing(name, np.repeat(gray, 3, axis=-1) * 255)
    assert prepared == pytest.approx(expected, rel=1e-5, abs=1e-4)


@pytest.mark.parametrize("convention", [name for name in CONVENTIONS if name not in ("0-255", "lite")])
def test_a_convention_agrees_with_keras(convention: str) -> None:
    from keras.src.applications.imagenet_utils import preprocess_input

    gray = images(8)
    # RadImageNet was trained behind Keras's generator, which multiplies by 1/255 what `caffe` has prepared.
    mode, scale = ("caffe", 1 / 255) if convention == "radimagenet" else (convention, 1)
    expected = preprocess_input(np.repeat(gray, 3, axis=-1) * 255, mode=mode) * scale
    assert numbers(to_convention(gray, convention)) == pytest.approx(expected, rel=1e-5, abs=1e-4)


# Trained weights


def layers_before(backbone: keras.Model, first: str) -> list[keras.Layer]:
    """Return the layers before a layer, or before a block of a transformer's encoder."""
    for layer in backbone.layers:
        blocks = getattr(layer, "encoder_layers", [])
        names = [block.name for block in blocks]
        if first in names:
            return [*keras.Model(backbone.input, layer.input).layers, *blocks[: names.index(first)]]
    return keras.Model(backbone.input, backbone.get_layer(first).input).layers


def frozen_weights(backbone: keras.Model, first: str) -> set[int]:
    """Return the ids of the weights that fine-tuning from a layer on keeps: earlier ones and batch normalisation."""
    norms = [layer for layer in backbone._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization)]
    return ids([weight for layer in [*layers_before(backbone, first), *norms] for weight in layer.weights])


@every_backbone
def test_fine_tuning_trains_a_fifth_to_four_fifths_of_a_backbone(name: str) -> None:
    backbone = backbone_of(network_of(name, FINE_TUNE), name)
    trainable = sum(math.prod(weight.shape) for weight in backbone.trainable_weights)
    assert 0.2 < trainable / backbone.count_params() < 0.8


@pytest.mark.parametrize("name", large_are_slow(FINE_TUNED))
def test_fine_tuning_changes_only_the_upper_blocks_and_the_head(name: str) -> None:
    network = network_of(name, FINE_TUNE)
    changed = changed_by_a_step(network)
    assert kernels(network.get_layer(HEAD).weights) <= changed
    for part in model_row(name).backbones:
        backbone = backbone_of(network, part)
        frozen = frozen_weights(backbone, BACKBONES[part].fine_tune_from)
        assert ids(backbone.trainable_weights) == ids(backbone.weights) - frozen
        assert not changed & frozen
        assert changed & kernels(backbone.trainable_weights)


@every_model
def test_a_step_changes_every_kernel_of_a_head_or_of_a_network_from_scratch(name: str) -> None:
    network = network_of(name, first_mode(name))
    changed = changed_by_a_step(network)
    assert kernels(network.weights) == kernels(network.trainable_weights) <= changed


@pytest.mark.parametrize("name", TRAINED_IN_FULL)
def test_full_training_changes_the_first_kernel_and_all_batch_normalisation(name: str) -> None:
    network = network_of(name, FULL)
    changed = changed_by_a_step(network)
    for part in model_row(name).backbones:
        backbone = backbone_of(network, part)
        norms = [layer for layer in backbone.layers if isinstance(layer, keras.layers.BatchNormalization)]
        assert {id(layer.moving_variance) for layer in norms} <= changed
        assert id(next(weight for weight in backbone.weights if "kernel" in weight.name)) in changed
        assert len(backbone.non_trainable_weights) == 2 * len(norms)


@every_backbone
def test_an_encoder_is_frozen(name: str) -> None:
    encoder = encoder_of(name)
    before = [numbers(weight) for weight in encoder.weights]
    encoder(images(BACKBONES[name].min_px), training=True)
    assert encoder.trainable_weights == []
    assert all(np.array_equal(numbers(a), b) for a, b in zip(encoder.weights, before, strict=True))


def test_fine_tuning_starts_at_the_block_in_the_settings() -> None:
    backbone = backbone_of(
        build("vgg16", FINE_TUNE, blocks={"vgg16": "block4_conv2", "vgg19": "block1_conv1"}), "vgg16"
    )
    trained = [layer.name for layer in backbone.layers if layer.trainable_weights]
    assert trained == ["block4_conv2", "block4_conv3", "block5_conv1", "block5_conv2", "block5_conv3"]


@pytest.mark.parametrize(
    ("name", "block", "near"),
    [
        ("vgg16", "block5_conv9", "block5_conv"),
        ("vit_tiny", "transformer_block_13", "transformer_block_1"),
        ("resnet50", "nonsense", "conv5_block3_out"),
    ],
)
def test_an_unknown_block_is_refused_with_similar_names(name: str, block: str, near: str) -> None:
    expected = rf"fine_tune\.blocks\.{name}: expected a layer of it, such as .*{near}.*received '{block}'"
    with pytest.raises(BonexrayError, match=expected) as refusal:
        build(name, FINE_TUNE, blocks={name: block})
    assert "\n" not in str(refusal.value)


# Saved weights


def same_weights(network: keras.Model, other: keras.Model) -> bool:
    return all(np.array_equal(numbers(a), numbers(b)) for a, b in zip(network.weights, other.weights, strict=True))


@pytest.mark.parametrize(
    ("name", "mode"),
    [pytest.param(*pair, marks=() if pair[0] in RELOADED_AT_ONCE else pytest.mark.slow) for pair in WHOLE.items()],
)
def test_saved_weights_give_the_same_probabilities_when_reloaded(name: str, mode: str, tmp_path: Path) -> None:
    network, other = network_of(name, mode), build(name, mode, seed=8)
    inputs, file = inputs_of(network), tmp_path / "a.weights.h5"
    assert not same_weights(network, other)
    network.save_weights(file)
    other.load_weights(file)
    file.unlink()  # up to 200 MB
    assert same_weights(network, other)
    assert np.array_equal(outputs_of(network, inputs), outputs_of(other, inputs))
