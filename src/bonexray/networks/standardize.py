"""Standardisation of features to mean 0 and standard deviation 1."""

from collections.abc import Iterable

import keras
import numpy as np

from bonexray.networks.scaling import mean_and_std


class Standardize(keras.layers.Layer):
    """A layer that computes `(x - mean) / std` and keeps both statistics among its weights.

    Keras's `Normalization` raises standard deviations to at least 1e-7, but those of the features of a deep, randomly
    initialised backbone are far smaller.
    """

    def build(self, input_shape: tuple) -> None:
        """Create the statistics of each feature, at first mean 0 and standard deviation 1."""
        width = (input_shape[-1],)
        self.mean = self.add_weight(shape=width, initializer="zeros", trainable=False, name="mean")
        self.std = self.add_weight(shape=width, initializer="ones", trainable=False, name="std")

    def call(self, features):
        """Standardise a tensor (batch, features)."""
        return (features - self.mean) / self.std

    def adapt(self, batches: Iterable[np.ndarray]) -> None:
        """Set the statistics to those of the training features; see `mean_and_std`.

        Args:
            batches: arrays (batch, features).
        """
        mean, std = mean_and_std(batches)
        self.mean.assign(mean)
        self.std.assign(std)
