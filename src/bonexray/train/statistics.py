"""Statistics of batch normalisation, estimated anew on the training images before each validation."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import keras
import numpy as np

from bonexray.runtime import compiled
from bonexray.train.batches import Batches

Normalise = Callable[[object], None]


class Reestimate(keras.callbacks.Callback):
    """Set the moving statistics to those of the training images under the present weights.

    Moving averages with Keras's momentum of 0.99 need hundreds of steps to arrive; a small training set has ten an
    epoch. Means and variances over all batches, each image with equal weight, are "precise" statistics: Wu and Johnson,
    Rethinking "Batch" in BatchNorm (2021), section 3. It costs one forward pass of the training images. Layers that
    stay in inference keep their statistics, and a network without layers that learn them costs nothing.

    Args:
        train: the training batches, whole on every machine, so that all machines get the same statistics.
    """

    def __init__(self, train: Batches) -> None:
        super().__init__()
        self._train = train
        self._normalise: Normalise | None = None

    def on_test_begin(self, logs: dict | None = None) -> None:
        """Estimate the statistics, which validation and the checkpoint after it then use."""
        self._normalise = self._normalise or normalisation_of(self.model)  # compiled once a training
        reestimate(self.model, self._train, self._normalise)


def normalisation_of(network: keras.Model) -> Normalise:
    """Return a pass of one batch that updates the statistics, compiled at its first call."""

    def normalise(inputs: object) -> None:
        network(inputs, training=True)

    return compiled(normalise)


def reestimate(network: keras.Model, train: Batches, normalise: Normalise) -> None:
    """Set the statistics of all batch normalisation that learns to the mean and variance over the batches.

    Args:
        network: the network.
        train: the training batches.
        normalise: result of `normalisation_of` for the network, the same in every call.
    """
    layers = [layer for layer in _all_layers(network, keras.layers.BatchNormalization) if layer.trainable]
    if not layers:
        return
    means, squares, images = [0.0] * len(layers), [0.0] * len(layers), 0
    with _of_one_batch(network, layers):
        for number in range(len(train)):
            inputs, targets = train[number]
            normalise(inputs)
            images += len(targets)
            for index, layer in enumerate(layers):
                mean, variance = (
                    np.asarray(keras.ops.convert_to_numpy(weight), np.float64)
                    for weight in (layer.moving_mean, layer.moving_variance)
                )
                means[index] = means[index] + len(targets) * mean
                squares[index] = squares[index] + len(targets) * (variance + mean**2)
    for layer, mean, square in zip(layers, means, squares, strict=True):
        layer.moving_mean.assign(mean / images)
        layer.moving_variance.assign(np.maximum(square / images - (mean / images) ** 2, 0))


@contextmanager
def _of_one_batch(network: keras.Model, layers: list[keras.Layer]) -> Iterator[None]:
    """Let the moving statistics be those of the last batch, and let dropout rest, as in inference."""
    dropouts = _all_layers(network, keras.layers.Dropout)
    momenta, rates = [layer.momentum for layer in layers], [layer.rate for layer in dropouts]
    try:
        for layer in layers:
            layer.momentum = 0.0
        for layer in dropouts:
            layer.rate = 0.0
        yield
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
        for layer, rate in zip(dropouts, rates, strict=True):
            layer.rate = rate


def _all_layers(network: keras.Model, kind: type) -> list[keras.Layer]:
    return [layer for layer in network._flatten_layers() if isinstance(layer, kind)]
