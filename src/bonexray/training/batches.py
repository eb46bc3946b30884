"""Batches of memory-mapped inputs, shuffled anew each epoch where they are for training."""

from collections.abc import Sequence

import keras
import numpy as np


class Batches(keras.utils.PyDataset):
    """Some rows of the inputs with their labels; only the batch at hand is in memory.

    Args:
        inputs: arrays (images, ...) with the same rows, one a network input.
        labels: int (images,).
        rows: int (n,), the rows that take part.
        batch_images: rows in a batch.
        shuffle_seed: shuffles the rows at the start and after each epoch; None keeps their order.
    """

    def __init__(
        self, inputs: Sequence[np.ndarray], labels: np.ndarray, rows: np.ndarray, batch_images: int,
        shuffle_seed: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self._inputs, self._labels, self._batch_images = inputs, labels, batch_images
        self._rows, self._rng = (
            rows.copy(),
            None if shuffle_seed is None else np.random.default_rng(shuffle_seed),
        )
        self.on_epoch_end()

    def __len__(self) -> int:
        return -(-len(self._rows) // self._batch_images)

    def __getitem__(self, batch: int) -> tuple:
        rows = np.sort(self._rows[batch * self._batch_images : (batch + 1) * self._batch_images])
        inputs = tuple(np.asarray(array[rows], np.float32) for array in self._inputs)
        return (inputs if len(inputs) > 1 else inputs[0]), self._labels[rows]

    def on_epoch_end(self) -> None:
        """Shuffle for the next epoch."""
        if self._rng is not None:
            self._rng.shuffle(self._rows)
