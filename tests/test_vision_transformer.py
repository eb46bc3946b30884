"""Test the vision transformers with published weights: their sides, positions, and the kinds that differ in parts."""

from importlib.util import find_spec

import keras
import numpy as np
import pytest
from small_networks import encoder_of, numbers

from bonexray.backbones.cost import multiply_adds
from bonexray.backbones.encoder import build_backbone
from bonexray.builders.vision_transformer import KINDS, _cubic_weights, copy_weights
from bonexray.registry import BACKBONES


def positions(network: keras.Model) -> np.ndarray:
    return numbers(network.get_layer("embedding").positions)


@pytest.mark.parametrize("name", KINDS)
def test_the_row_has_the_patches_and_the_width_of_the_kind(name: str) -> None:
    row, kind = BACKBONES[name], KINDS[name]
    assert (row.multiple_of, row.features) == (kind.patch_px, kind.width)
    assert row.native_px % kind.patch_px == row.min_px % kind.patch_px == 0
    assert (row.convention == "0-255") == (kind.statistics is not None)


# Positions


@pytest.mark.parametrize(("old", "new"), [(37, 9), (14, 6), (4, 4), (5, 16)])
def test_weights_of_interpolation_keep_what_is_constant_and_mirror(old: int, new: int) -> None:
    weights = _cubic_weights(old, new)
    assert weights.shape == (new, old)
    assert weights.sum(axis=1) == pytest.approx(1)
    assert weights == pytest.approx(weights[::-1, ::-1])
    assert np.array_equal(weights, np.eye(old)) == (old == new)


def test_weights_of_interpolation_halfway_are_those_of_the_formula() -> None:
    assert _cubic_weights(8, 4)[1] == pytest.approx([0, -0.09375, 0.59375, 0.59375, -0.09375, 0, 0, 0], abs=1e-12)


@pytest.mark.skipif(find_spec("torch") is None, reason="needs torch")
@pytest.mark.parametrize(("old", "new"), [(37, 9), (14, 6), (5, 16)])
def test_weights_of_interpolation_are_those_of_pytorch(old: int, new: int) -> None:
    import torch

    grid = np.random.default_rng(7).normal(size=(old, old))
    expected = torch.nn.functional.interpolate(torch.from_numpy(grid)[None, None], (new, new), mode="bicubic")
    weights = _cubic_weights(old, new)
    assert weights @ grid @ weights.T == pytest.approx(expected.numpy()[0, 0], abs=1e-6)


@pytest.mark.parametrize(("name", "class_tokens"), [("dinov2_small", 1), ("deit_tiny", 1)])
def test_another_side_changes_only_the_positions_of_patches(name: str, class_tokens: int) -> None:
    patch = KINDS[name].patch_px
    stored, other = (build_backbone(name, side * patch) for side in (6, 4))
    copy_weights(stored, other)
    pairs = zip(stored.weights, other.weights, strict=True)
    differing = [a.path for a, b in pairs if a.shape != b.shape or not np.array_equal(numbers(a), numbers(b))]
    assert differing == [stored.get_layer("embedding").positions.path]
    assert np.array_equal(positions(stored)[:class_tokens], positions(other)[:class_tokens])
    grid, matrix = positions(stored)[class_tokens:].reshape(6, 6, -1), _cubic_weights(6, 4)
    resized = np.stack([matrix @ grid[..., channel] @ matrix.T for channel in (0, 100)], axis=-1)
    assert positions(other)[class_tokens:].reshape(4, 4, -1)[..., [0, 100]] == pytest.approx(resized, abs=1e-6)


# Parts that differ


@pytest.mark.slow
def test_rad_dino_normalises_by_the_statistics_of_its_training() -> None:
    network = encoder_of("rad_dino").get_layer("rad_dino")
    image = np.random.default_rng(7).uniform(0, 255, (1, 42, 42, 3)).astype(np.float32)
    normalised = numbers(keras.Model(network.input, network.get_layer("normalise").output)(image))
    assert normalised == pytest.approx((image / 255 - 0.5307) / 0.2583, abs=1e-5)


def test_only_siglip_has_no_class_token_and_only_dinov2_scales() -> None:
    tokens = {name: bool(kind.layout.class_token) for name, kind in KINDS.items()}
    assert [name for name, has in tokens.items() if not has] == ["siglip2_base", "medsiglip"]
    scaled = [name for name, kind in KINDS.items() if "scale_1" in kind.layout.parts]
    assert scaled == ["dinov2_small", "dinov2_base", "rad_dino"]


@pytest.mark.parametrize(("name", "side"), [("deit_tiny", 4), ("dinov2_small", 3)])
def test_the_cost_follows_from_the_sizes(name: str, side: int) -> None:
    kind, patches = KINDS[name], side**2
    tokens = patches + 1
    block = tokens * (4 * kind.width**2 + 2 * kind.width * kind.dense) + 2 * tokens**2 * kind.width
    expected = patches * kind.patch_px**2 * 3 * kind.width + kind.blocks * block
    assert multiply_adds(build_backbone(name, side * kind.patch_px)) == expected
