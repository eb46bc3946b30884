"""Batches in the form that Keras's `fit` takes."""

import keras

from bonexray.train.batches import Batches


class KerasBatches(keras.utils.PyDataset):
    """Batches for a single device, and the base class of batches for several.

    Args:
        batches: the batches of a split.
    """

    def __init__(self, batches: Batches) -> None:
        super().__init__()
        self._batches = batches

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, batch: int) -> tuple:
        return self._batches[batch]

    def on_epoch_end(self) -> None:
        """Start the next epoch."""
        self._batches.on_epoch_end()
