"""Features to mean 0 and standard deviation 1, by the training split."""

from collections.abc import Iterable

import keras
import numpy as np


class Standardize(keras.layers.Layer):
    """`(x - mean) / std` with the statistics kept among the layer's weights.

    Keras's own `Normalization` replaces a standard deviation below 1e-7 by 1e-7, and the features of a deep
    randomly initialised backbone are far smaller than that.
    """

    def build(self, input_shape: tuple) -> None:
        """Create the statistics, one a feature, as those of features that need no change."""
        width = (input_shape[-1],)
        self.mean = self.add_weight(shape=width, initializer="zeros", trainable=False, name="mean")
        self.std = self.add_weight(shape=width, initializer="ones", trainable=False, name="std")

    def call(self, features):
        """Standardise a tensor (batch, features)."""
        return (features - self.mean) / self.std

    def adapt(self, batches: Iterable[np.ndarray]) -> None:
        """Take the statistics of batches (batch, features).

        A feature that varies far less than the others do is scaled as if it varied a tenth of their median: divided
        by its own deviation, one image in which it does vary would outweigh everything else.
        """
        count, total, squares, shift = 0, 0.0, 0.0, None
        for batch in batches:
            batch = np.asarray(batch, np.float64)
            shift = batch.mean(axis=0) if shift is None else shift  # near the mean, so that squares lose nothing
            count += len(batch)
            total = total + (batch - shift).sum(axis=0)
            squares = squares + ((batch - shift) ** 2).sum(axis=0)
        std = np.sqrt(np.maximum(squares / count - (total / count) ** 2, 0))
        self.mean.assign(shift + total / count)
        varying = std[std > 0]
        self.std.assign(np.maximum(std, 0.1 * np.median(varying)) if varying.size else np.ones_like(std))
