"""Batches for several devices of one machine: each device gets as many rows, whatever the number of images."""

import keras
import numpy as np

from bonexray.train.batches import Batches


class EvenBatches(keras.utils.PyDataset):
    """Batches filled up to a multiple of the devices with rows of no weight.

    Keras averages over a device's rows and then over the devices, and a device without rows is an error. The real rows'
    weights make up for the others: in training so that a step follows the mean over the real batch; in validation
    so that the epoch's loss is the mean over the real images.

    Args:
        batches: of the split.
        devices: how many share a batch.
        class_weight: weight of each class in the loss, or None.
        learning: whether these are for training.
    """

    def __init__(
        self, batches: Batches, devices: int, class_weight: dict[int, float] | None = None, *, learning: bool = False
    ) -> None:
        super().__init__()
        self._batches, self._devices, self._class_weight, self._learning = batches, devices, class_weight, learning

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, batch: int) -> tuple:
        inputs, targets = self._batches[batch]
        real, filled = len(targets), self._filled(len(targets))
        sizes = [real] if self._learning else self._batches.sizes
        rows = np.arange(filled) % real
        weights = row_weights(targets, self._class_weight)[rows] * (sum(map(self._filled, sizes)) / sum(sizes))
        weights[real:] = 0
        chosen = tuple(array[rows] for array in inputs) if isinstance(inputs, tuple) else inputs[rows]
        return chosen, targets[rows], weights

    def _filled(self, rows: int) -> int:
        return -(-rows // self._devices) * self._devices

    def on_epoch_end(self) -> None:
        """Go on to the next epoch."""
        self._batches.on_epoch_end()


def row_weights(targets: np.ndarray, class_weight: dict[int, float] | None) -> np.ndarray:
    """The weight of each row's class in the loss.

    Args:
        targets: (rows, classes), or of a sigmoid (rows, 1).
        class_weight: by place in the class map; None weighs all alike.

    Returns:
        float32 (rows,).
    """
    if class_weight is None:
        return np.ones(len(targets), np.float32)
    labels = targets.argmax(axis=1) if targets.shape[1] > 1 else targets[:, 0].astype(int)
    return np.array([class_weight[int(label)] for label in labels], np.float32)
