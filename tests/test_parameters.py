"""Test the number of parameters of each network against its row, and the layers of those trained from scratch."""

import itertools

import keras
import pytest
from small_networks import CLASSES, SETTINGS, encoder_of, every_backbone, every_scratch_model

from bonexray.backbones.encoder import build_backbone
from bonexray.networks.trainable import build_trainable
from bonexray.registry import BACKBONES, SCRATCH, model_row


def scratch_parameters(name: str, px: int, classes: int) -> int:
    return build_trainable(name, SCRATCH, px, classes, SETTINGS).count_params()


@every_backbone
def test_a_backbone_has_the_parameters_in_its_row(name: str) -> None:
    assert encoder_of(name).count_params() == BACKBONES[name].parameters


@every_scratch_model
def test_a_network_from_scratch_has_the_parameters_in_its_row(name: str) -> None:
    assert scratch_parameters(name, 128, 3) == model_row(name).parameters


def test_vit_tiny_has_the_published_parameters_at_224_px() -> None:  # of timm's, without its classes
    assert build_backbone("vit_tiny", 224).count_params() == 5_524_416


@pytest.mark.parametrize(("px", "classes"), [(67, 2), (98, 4), (128, 3), (224, 6)])
def test_alexnet_has_as_many_parameters_as_its_layers_add_up_to(px: int, classes: int) -> None:
    side = (px - 11) // 4 + 1
    for _ in range(3):  # the pools
        side = (side - 3) // 2 + 1
    convolutions = 11_712 + 614_656 + 885_120 + 1_327_488 + 884_992
    dense = 256 * side**2 * 4096 + 4096 + 16_781_312
    expected = convolutions + 4 * (96 + 256) + dense + 4097 * classes
    assert scratch_parameters("alexnet", px, classes) == expected


@pytest.mark.parametrize(("px", "classes"), [(77, 2), (128, 3), (150, 5), (224, 6)])
def test_custom_cnn_has_as_many_parameters_as_its_layers_add_up_to(px: int, classes: int) -> None:
    side = ((px - 8) // 3 + 1) // 3 // 2 // 2 // 2
    convolutions = 8_320 + 819_456 + 590_080 + 65_792 + 1_180_160 + 3 * 2_359_808
    expected = convolutions + (512 * side**2 + 1) * classes
    assert scratch_parameters("custom_cnn", px, classes) == expected


@pytest.mark.parametrize(("px", "classes"), [(16, 2), (32, 3), (50, 5), (128, 3)])
def test_compact_cnn_has_as_many_parameters_as_its_layers_add_up_to(px: int, classes: int) -> None:
    filters = (1, 32, 64, 128, 256)
    convolutions = sum(9 * before * after + after for before, after in itertools.pairwise(filters))
    assert convolutions == 320 + 18_496 + 73_856 + 295_168
    dense = filters[-1] * (px // 16) ** 2 * 1024 + 1024
    expected = convolutions + 4 * sum(filters[1:]) + dense + 1025 * classes
    assert scratch_parameters("compact_cnn", px, classes) == expected


@pytest.mark.parametrize(("px", "classes"), [(8, 2), (64, 3), (224, 6)])
def test_small_cnn_has_the_same_parameters_at_every_side(px: int, classes: int) -> None:
    filters = (1, 16, 32, 64, 128)
    convolutions = sum(9 * before * after for before, after in itertools.pairwise(filters))
    expected = convolutions + 4 * sum(filters[1:]) + 129 * classes
    assert scratch_parameters("small_cnn", px, classes) == expected


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("alexnet", [(11, 1, 96), (5, 96, 256), (3, 256, 384), (3, 384, 384), (3, 384, 256)]),
        ("custom_cnn", [(8, 1, 128), (5, 128, 256), (3, 256, 256), (1, 256, 256), (3, 256, 512), *[(3, 512, 512)] * 3]),
        ("compact_cnn", [(3, 1, 32), (3, 32, 64), (3, 64, 128), (3, 128, 256)]),
        ("small_cnn", [(3, 1, 16), (3, 16, 32), (3, 32, 64), (3, 64, 128)]),
    ],
)
def test_a_network_from_scratch_has_the_convolutions_of_its_source(name: str, shapes: list[tuple[int, ...]]) -> None:
    network = build_trainable(name, SCRATCH, 128, CLASSES, SETTINGS)
    kernels = [layer.kernel.shape for layer in network.layers if isinstance(layer, keras.layers.Conv2D)]
    assert kernels == [(side, side, before, after) for side, before, after in shapes]


def test_compact_cnn_has_dropout_after_blocks_2_and_4_and_the_dense_layer() -> None:
    network = build_trainable("compact_cnn", SCRATCH, 32, CLASSES, SETTINGS)
    names = [layer.name for layer in network.layers]
    drops = [layer for layer in network.layers if isinstance(layer, keras.layers.Dropout)]
    assert [names[names.index(layer.name) - 1] for layer in drops] == ["conv2_pool", "conv4_pool", "dense"]
    assert {layer.rate for layer in drops} == {0.3}


@pytest.mark.parametrize("name", ["conv1", "conv2", "conv3", "conv4", "dense"])
def test_compact_cnn_has_he_uniform_kernels_with_l2(name: str) -> None:
    layer = build_trainable("compact_cnn", SCRATCH, 16, CLASSES, SETTINGS).get_layer(name)
    assert isinstance(layer.kernel_initializer, keras.initializers.HeUniform)
    assert isinstance(layer.kernel_regularizer, keras.regularizers.L2)


def test_the_statistics_of_small_cnn_follow_the_data_within_few_steps() -> None:
    network = build_trainable("small_cnn", SCRATCH, 16, CLASSES, SETTINGS)
    norms = [layer for layer in network.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert len(norms) == 4
    assert {norm.momentum for norm in norms} == {0.9}
