"""Test that ConvNeXt-Tiny computes its grouped convolutions by the backend's depthwise operation, to the same values."""

import keras
import numpy as np
import pytest
from small_networks import encoder_of, numbers

from bonexray.builders.convnext import DepthwiseConvolution
from bonexray.runtime import gradients


def pair(strides: int, padding: str) -> tuple[keras.Layer, keras.Layer]:
    """Return a grouped convolution of six channels and ours, with the same weights."""
    grouped, ours = (
        layer(6, 7, strides=strides, padding=padding, groups=6, bias_initializer="ones")
        for layer in (keras.layers.Conv2D, DepthwiseConvolution)
    )
    for layer in (grouped, ours):
        layer.build((None, 12, 12, 6))
    ours.set_weights(grouped.get_weights())
    return grouped, ours


@pytest.mark.parametrize("strides", [1, 2])
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_values_and_gradients_are_those_of_a_grouped_convolution(strides: int, padding: str) -> None:
    maps = np.random.default_rng(7).normal(size=(2, 12, 12, 6)).astype(np.float32)
    grouped, ours = pair(strides, padding)
    assert numbers(ours(maps)) == pytest.approx(numbers(grouped(maps)), rel=1e-4, abs=1e-5)
    slopes = [
        numbers(gradients(lambda values, layer=layer: layer(values[0]) ** 2, [maps])[0]) for layer in (grouped, ours)
    ]
    assert slopes[1] == pytest.approx(slopes[0], rel=1e-4, abs=1e-4)


def test_no_grouped_convolution_is_left() -> None:
    layers = encoder_of("convnext_tiny").get_layer("convnext_tiny").layers
    grouped = [type(layer) for layer in layers if getattr(layer, "groups", 1) > 1]
    assert grouped == [DepthwiseConvolution] * 18
