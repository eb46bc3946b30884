"""Test the multiply-adds of networks: counted by hand for small ones, as published for well-known ones."""

import keras
import pytest
from keras import layers
from small_networks import build, every_model, first_mode, network_of

from bonexray.backbones.cost import layer_multiply_adds, multiply_adds
from bonexray.backbones.encoder import build_backbone
from bonexray.base.errors import BonexrayError
from bonexray.networks.ordinal import Ordinal
from bonexray.registry import FINE_TUNE

# Side in pixels and multiply-adds without top, as counted by the authors or reviewers.
PUBLISHED = {
    "vgg16": (224, 15.35e9),
    "resnet50": (224, 3.86e9),
    "mobilenet_v2": (224, 0.30e9),
    "resnet18": (224, 1.81e9),
    "efficientnet_lite0": (224, 0.385e9),
    "deit_tiny": (224, 1.26e9),
}


def chain(shape: tuple[int, ...], *parts: layers.Layer) -> keras.Model:
    """Build a network of layers one after another."""
    first = x = keras.Input(shape)
    for part in parts:
        x = part(x)
    return keras.Model(first, x)


BY_HAND = {
    "a convolution": ((8, 8, 3), [layers.Conv2D(5, 3, padding="same")], 8 * 8 * 5 * 3 * 3 * 3),
    "without padding": ((8, 8, 3), [layers.Conv2D(5, 3)], 6 * 6 * 5 * 3 * 3 * 3),
    "with strides": ((8, 8, 3), [layers.Conv2D(5, 3, strides=2, padding="same")], 4 * 4 * 5 * 3 * 3 * 3),
    "in groups": ((8, 8, 4), [layers.Conv2D(6, 3, groups=2, padding="same")], 8 * 8 * 6 * 3 * 3 * 2),
    "dilated": ((8, 8, 3), [layers.Conv2D(5, 3, dilation_rate=2)], 4 * 4 * 5 * 3 * 3 * 3),
    "depthwise": ((8, 8, 4), [layers.DepthwiseConv2D(3, padding="same")], 8 * 8 * 4 * 3 * 3),
    "depthwise, two maps a channel": (
        (8, 8, 4),
        [layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same")],
        8 * 8 * 8 * 3 * 3,
    ),
    "separable": ((8, 8, 4), [layers.SeparableConv2D(6, 3, strides=2, padding="same")], 4 * 4 * (4 * 9 + 4 * 6)),
    "dense": ((7,), [layers.Dense(5)], 7 * 5),
    "dense at every position": ((8, 8, 7), [layers.Dense(5)], 8 * 8 * 7 * 5),
    "an einsum": ((9, 12), [layers.EinsumDense("abc,cde->abde", (9, 3, 4))], 9 * 12 * 3 * 4),
    "an einsum that sums two axes": ((9, 3, 4), [layers.EinsumDense("abde,dec->abc", (9, 12))], 9 * 3 * 4 * 12),
    "grades of one slope": ((7,), [Ordinal(4, "cumulative")], 7),
    "grades of three slopes": ((7,), [Ordinal(4, "corn")], 7 * 3),
    "what is not counted": (
        (8, 8, 3),
        [layers.BatchNormalization(), layers.ReLU(), layers.MaxPooling2D(), layers.Flatten(), layers.Dropout(0.5)],
        0,
    ),
    "a network within a network": ((7,), [chain((7,), layers.Dense(5)), layers.Dense(3)], 7 * 5 + 5 * 3),
}


@pytest.mark.parametrize(("shape", "parts", "expected"), BY_HAND.values(), ids=BY_HAND)
def test_the_cost_of_a_small_network_agrees_with_a_count_by_hand(shape: tuple, parts: list, expected: int) -> None:
    assert multiply_adds(chain(shape, *parts)) == expected


def test_attention_costs_its_projections_and_every_pair_of_tokens() -> None:
    tokens = keras.Input((10, 12))
    others = keras.Input((4, 12))
    heads, key, value = 2, 5, 6
    attention = layers.MultiHeadAttention(heads, key, value)(tokens, others)
    projections = 10 * 12 * heads * key + 4 * 12 * heads * key + 4 * 12 * heads * value + 10 * heads * value * 12
    pairs = 10 * 4 * heads * (key + value)
    assert multiply_adds(keras.Model([tokens, others], attention)) == projections + pairs


@pytest.mark.parametrize(("name", "px", "published"), [(name, *row) for name, row in PUBLISHED.items()])
def test_the_cost_of_a_well_known_network_is_the_published_one(name: str, px: int, published: float) -> None:
    assert multiply_adds(build_backbone(name, px)) == pytest.approx(published, rel=0.02)


def test_the_cost_of_vit_tiny_follows_from_its_sizes() -> None:
    patches, width, deep = 16, 192, 768
    tokens, px = patches + 1, 64
    block = tokens * (4 * width * width + 2 * width * deep) + 2 * tokens * tokens * width
    assert multiply_adds(build_backbone("vit_tiny", px)) == patches * 16 * 16 * 3 * width + 12 * block


def test_the_cost_of_swin_leaves_out_only_the_products_within_windows() -> None:
    sides, widths, blocks = (56, 28, 14, 7), (96, 192, 384, 768), (2, 2, 6, 2)
    products = sum(2 * 49 * side**2 * width * count for side, width, count in zip(sides, widths, blocks, strict=True))
    cost = multiply_adds(build_backbone("swin_tiny", 224))
    assert cost + products == pytest.approx(4.5e9, rel=0.01)
    assert products / cost == pytest.approx(0.03, abs=0.005)


@every_model
def test_every_model_has_a_cost(name: str) -> None:
    assert multiply_adds(network_of(name, first_mode(name))) > 0


def test_a_fusion_costs_as_much_as_its_backbones_and_its_head() -> None:
    parts = [build_backbone(name, 32) for name in ("vgg16", "vgg19")]
    head = network_of("vgg16_vgg19", "frozen")
    network = build("vgg16_vgg19", FINE_TUNE)
    assert multiply_adds(network) == sum(multiply_adds(part) for part in [*parts, head])


def test_an_unknown_layer_with_weights_is_refused() -> None:
    layer = layers.Conv2DTranspose(3, 3, name="up")
    chain((8, 8, 3), layer)
    with pytest.raises(BonexrayError, match=r"layer up.*Conv2DTranspose.*backbones/cost\.py"):
        layer_multiply_adds(layer)
