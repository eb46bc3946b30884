"""Standardisation of features to mean 0 and standard deviation 1."""

from collections.abc import Iterable

import keras
import numpy as np


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
        """Set the statistics to those of the training features.

        A standard deviation counts as at least a tenth of the median of all: a nearly constant feature, divided by its
        own, would outweigh all others in the one image in which it differs.

        Args:
            batches: arrays (batch, features).
        """
        count, total, squares, shift = 0, 0.0, 0.0, None
        for batch in batches:
            batch = np.asarray(batch, np.float64)
            shift = batch.mean(axis=0) if shift is None else shift  # near the mean: keeps the sum of squares precise
            count += len(batch)
            total = total + (batch - shift).sum(axis=0)
            squares = squares + ((batch - shift) ** 2).sum(axis=0)
        std = np.sqrt(np.maximum(squares / count - (total / count) ** 2, 0))
        self.mean.assign(shift + total / count)
        varying = std[std > 0]
        self.std.assign(np.maximum(std, 0.1 * np.median(varying)) if varying.size else np.ones_like(std))
