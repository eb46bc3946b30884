"""Batches for several devices of one machine, which all get the same number of rows."""

import numpy as np

from bonexray.train.batches import Batches
from bonexray.train.keras_batches import KerasBatches


class EvenBatches(KerasBatches):
    """Batches padded with rows of zero weight to a multiple of the number of devices.

    Keras averages over each device's rows and then over the devices, and fails if a device has no rows. The weights of
    the real rows compensate for the padding: a training step follows the mean over the real rows of its batch, and the
    validation loss of an epoch is the mean over the real images.

    Args:
        batches: the batches of a split, or one machine's share of them.
        devices: number of devices that share a batch.
        class_weight: weight of each class in the loss, or None; a machine's share has weights already.
        learning: whether the batches are for training.
    """

    def __init__(
        self,
        batches: Batches | KerasBatches,
        devices: int,
        class_weight: dict[int, float] | None = None,
        *,
        learning: bool = False,
    ) -> None:
        super().__init__(batches)
        self._devices, self._class_weight, self._learning = devices, class_weight, learning

    def __getitem__(self, batch: int) -> tuple:
        inputs, targets, *given = self._batches[batch]
        real, padded = len(targets), self._padded(len(targets))
        sizes = [real] if self._learning else self._batches.sizes
        rows = np.arange(padded) % real
        weights = (given[0] if given else row_weights(targets, self._class_weight))[rows] * (
            sum(map(self._padded, sizes)) / sum(sizes)
        )
        weights[real:] = 0
        inputs = tuple(array[rows] for array in inputs) if isinstance(inputs, tuple) else inputs[rows]
        return inputs, targets[rows], weights

    def _padded(self, rows: int) -> int:
        return -(-rows // self._devices) * self._devices


def row_weights(targets: np.ndarray, class_weight: dict[int, float] | None) -> np.ndarray:
    """Return the weight of each row's class in the loss.

    Args:
        targets: (rows, classes), or (rows, 1) for a sigmoid.
        class_weight: weight by index in the class map; None for equal weights.

    Returns:
        float32 (rows,).
    """
    if class_weight is None:
        return np.ones(len(targets), np.float32)
    labels = targets.argmax(axis=1) if targets.shape[1] > 1 else targets[:, 0].astype(int)
    return np.array([class_weight[int(label)] for label in labels], np.float32)
