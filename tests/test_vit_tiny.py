"""Test the interpolation of ViT-Tiny's position embeddings to images of another size."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest
from small_networks import numbers, same_weights

from bonexray.backbones.encoder import build_backbone
from bonexray.backbones.weights import load_starting_weights
from bonexray.data.paths import weights_path
from bonexray.features.settings import Weights
from bonexray.features.starting_weights import starting_backbone


def positions(backbone: keras.Model) -> keras.Variable:
    """Return the position embeddings (1 + patches, 192), that of the class token first."""
    return next(weight for weight in backbone.weights if "position_embedding" in weight.path)


@pytest.fixture(scope="module")
def stored_vit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[keras.Model, Path]]:
    """ViT-Tiny and the folder of its weights; the first number of an embedding is constant, the second rises by row."""
    backbone = starting_backbone("vit_tiny", Weights(source="random", seed=3))
    embeddings = numbers(positions(backbone))
    embeddings[1:, 0] = 0.25
    embeddings[1:, 1] = np.tile(np.linspace(0, 1, 14), 14)
    positions(backbone).assign(embeddings)
    folder = tmp_path_factory.mktemp("vit")
    with contextlib.chdir(folder):
        weights_path("vit_tiny").parent.mkdir()
        backbone.save_weights(weights_path("vit_tiny"))
    yield backbone, folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module", params=[32, 64, 256])
def resized_vit(request: pytest.FixtureRequest, stored_vit: tuple[keras.Model, Path]) -> keras.Model:
    """The same network for images of another size."""
    backbone = build_backbone("vit_tiny", request.param)
    with contextlib.chdir(stored_vit[1]):
        load_starting_weights(backbone, "vit_tiny")
    return backbone


def test_a_transformer_at_the_stored_size_has_the_stored_weights(stored_vit: tuple[keras.Model, Path]) -> None:
    backbone = build_backbone("vit_tiny", 224)
    with contextlib.chdir(stored_vit[1]):
        load_starting_weights(backbone, "vit_tiny")
    assert same_weights(stored_vit[0], backbone)


def test_a_transformer_at_another_size_differs_only_in_the_positions_of_its_patches(
    stored_vit: tuple[keras.Model, Path], resized_vit: keras.Model
) -> None:
    stored, patches = stored_vit[0], (resized_vit.input_shape[1] // 16) ** 2
    assert positions(resized_vit).shape == (1 + patches, 192)
    assert np.array_equal(numbers(positions(resized_vit))[0], numbers(positions(stored))[0])
    pairs = zip(resized_vit.weights, stored.weights, strict=True)
    differing = [a.path for a, b in pairs if a.shape != b.shape or not np.array_equal(numbers(a), numbers(b))]
    assert differing == [positions(resized_vit).path]


def test_constant_positions_stay_constant_at_another_size(resized_vit: keras.Model) -> None:
    assert numbers(positions(resized_vit))[1:, 0] == pytest.approx(0.25)


def test_positions_that_rise_along_rows_do_so_at_another_size(resized_vit: keras.Model) -> None:
    side = resized_vit.input_shape[1] // 16
    grid = numbers(positions(resized_vit))[1:, 1].reshape(side, side)
    assert (np.diff(grid, axis=1) > 0).all()
    assert np.diff(grid, axis=0) == pytest.approx(0, abs=1e-6)
    assert grid.mean() == pytest.approx(0.5, abs=1e-3)
