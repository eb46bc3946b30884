"""How many parameters a network has: Keras's published table, the papers, and the sums in the docstrings."""

import itertools

import keras
import pytest
from small_networks import CLASSES, SETTINGS, encoder_of, every_backbone

from bonexray.backbones.encoder import build_body
from bonexray.networks.trainable import build_trainable
from bonexray.registry import BACKBONES, SCRATCH

MILLIONS_WITH_TOP = {  # https://keras.io/api/applications/
    "vgg16": 138.4,
    "vgg19": 143.7,
    "inception_v3": 23.9,
    "resnet50": 25.6,
    "xception": 22.9,
    "mobilenet_v2": 3.5,
    "densenet121": 8.1,
    "densenet169": 14.3,
    "convnext_tiny": 28.6,
    "efficientnet_b0": 5.3,
}
WITHOUT_TOP = {
    "vgg16": 14_714_688,
    "vgg19": 20_024_384,
    "inception_v3": 21_802_784,
    "resnet50": 23_587_712,
    "xception": 20_861_480,
    "mobilenet_v2": 2_257_984,
    "densenet121": 7_037_504,
    "densenet169": 12_642_880,
    "convnext_tiny": 27_820_128,
    "efficientnet_b0": 4_049_571,
    "resnet18": 11_186_112,  # as KerasHub states it: the paper's 11 176 512 and the statistics of 9600 channels
    "vit_tiny": 5_486_592 + 192 * (1 + 2 * 2),  # at 32 px; at 224 px the 5 524 416 of timm's without its classes
}


def scratch(name: str, px: int, classes: int) -> int:
    return build_trainable(name, SCRATCH, px, classes, SETTINGS).count_params()


@pytest.mark.parametrize("name", [name for name, row in BACKBONES.items() if row.module])
def test_a_backbone_with_its_top_has_the_parameters_that_keras_publishes(name: str) -> None:
    with keras.StatelessScope():  # counts, but allocates nothing
        network = getattr(keras.applications, BACKBONES[name].builder)(include_top=True, weights=None)
    assert round(network.count_params() / 1e6, 1) == MILLIONS_WITH_TOP[name]


@every_backbone
def test_a_backbone_has_the_parameters_of_its_paper_without_top(name: str) -> None:
    assert encoder_of(name).count_params() == WITHOUT_TOP[name]


def test_vit_tiny_has_one_position_more_a_patch() -> None:
    assert build_body("vit_tiny", 224).count_params() == 5_524_416


@pytest.mark.parametrize(("px", "classes"), [(67, 2), (98, 4), (128, 3), (224, 6)])
def test_alexnet_has_the_parameters_that_its_layers_add_up_to(px: int, classes: int) -> None:
    side = (px - 11) // 4 + 1
    for _ in range(3):  # the pools
        side = (side - 3) // 2 + 1
    convolutions = 11_712 + 614_656 + 885_120 + 1_327_488 + 884_992
    dense = 256 * side**2 * 4096 + 4096 + 16_781_312
    expected = convolutions + 4 * (96 + 256) + dense + 4097 * classes
    assert scratch("alexnet", px, classes) == expected
    if (px, classes) == (128, 3):
        assert expected == 24_717_379


@pytest.mark.parametrize(("px", "classes"), [(77, 2), (128, 3), (150, 5), (224, 6)])
def test_custom_cnn_has_the_parameters_that_its_layers_add_up_to(px: int, classes: int) -> None:
    side = ((px - 8) // 3 + 1) // 3 // 2 // 2 // 2
    convolutions = 8_320 + 819_456 + 590_080 + 65_792 + 1_180_160 + 3 * 2_359_808
    expected = convolutions + (512 * side**2 + 1) * classes
    assert scratch("custom_cnn", px, classes) == expected
    if (px, classes) == (128, 3):
        assert expected == 9_744_771


@pytest.mark.parametrize(("px", "classes"), [(16, 2), (32, 3), (50, 5), (128, 3)])
def test_compact_cnn_has_the_parameters_that_its_layers_add_up_to(px: int, classes: int) -> None:
    filters = (1, 32, 64, 128, 256)
    convolutions = sum(9 * before * after + after for before, after in itertools.pairwise(filters))
    assert convolutions == 320 + 18_496 + 73_856 + 295_168
    dense = filters[-1] * (px // 16) ** 2 * 1024 + 1024
    expected = convolutions + 4 * sum(filters[1:]) + dense + 1025 * classes
    assert scratch("compact_cnn", px, classes) == expected
    if (px, classes) == (128, 3):
        assert expected == 17_171_075


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("alexnet", [(11, 1, 96), (5, 96, 256), (3, 256, 384), (3, 384, 384), (3, 384, 256)]),
        ("custom_cnn", [(8, 1, 128), (5, 128, 256), (3, 256, 256), (1, 256, 256), (3, 256, 512), *[(3, 512, 512)] * 3]),
        ("compact_cnn", [(3, 1, 32), (3, 32, 64), (3, 64, 128), (3, 128, 256)]),
    ],
)
def test_a_network_from_scratch_has_the_convolutions_of_its_source(name: str, shapes: list[tuple[int, ...]]) -> None:
    network = build_trainable(name, SCRATCH, 128, CLASSES, SETTINGS)
    found = [layer.kernel.shape for layer in network.layers if isinstance(layer, keras.layers.Conv2D)]
    assert found == [(side, side, before, after) for side, before, after in shapes]


def test_compact_cnn_drops_out_after_its_second_and_fourth_block_and_its_dense_layer() -> None:
    network = build_trainable("compact_cnn", SCRATCH, 32, CLASSES, SETTINGS)
    names = [layer.name for layer in network.layers]
    drops = [layer for layer in network.layers if isinstance(layer, keras.layers.Dropout)]
    assert [names[names.index(layer.name) - 1] for layer in drops] == ["conv2_pool", "conv4_pool", "dense"]
    assert {layer.rate for layer in drops} == {0.3}


@pytest.mark.parametrize("name", ["conv1", "conv2", "conv3", "conv4", "dense"])
def test_compact_cnn_starts_he_uniform_and_is_held_by_l2(name: str) -> None:
    layer = build_trainable("compact_cnn", SCRATCH, 16, CLASSES, SETTINGS).get_layer(name)
    assert isinstance(layer.kernel_initializer, keras.initializers.HeUniform)
    assert isinstance(layer.kernel_regularizer, keras.regularizers.L2)
