"""Train one model on several machines: each processes its share of every batch, and the gradients are averaged.

Keras's `fit` does not support TensorFlow's multi-worker strategy, so the optimiser exchanges the gradients itself.
Every machine runs the same command on the same files and ends with the same weights.
"""

import keras
import numpy as np

from bonexray.runtime import Machine, sum_over_machines
from bonexray.train.batches import Batches
from bonexray.train.keras_batches import KerasBatches
from bonexray.train.replicas import row_weights

GRADIENTS, LOGS, STATE = 1, 2, 3  # identify an exchange; the same on every machine


class Share(KerasBatches):
    """One machine's rows of every batch, weighted so that the mean over machines is the mean over the batch.

    Args:
        batches: the whole batches, in the same order on every machine.
        machine: the machine whose rows are returned.
        class_weight: weight of each class in the loss, or None.
    """

    def __init__(self, batches: Batches, machine: Machine, class_weight: dict[int, float] | None) -> None:
        super().__init__(batches)
        self._machine, self._class_weight = machine, class_weight

    def __getitem__(self, batch: int) -> tuple:
        inputs, targets = self._batches[batch]
        weights = row_weights(targets, self._class_weight)
        share = np.array_split(np.arange(len(targets)), self._machine.count)[self._machine.rank]
        weights = weights * (len(share) * self._machine.count / len(targets))
        if not len(share):  # a machine without rows must still join every exchange
            share, weights = np.zeros(1, int), np.zeros_like(weights)
        inputs = tuple(array[share] for array in inputs) if isinstance(inputs, tuple) else inputs[share]
        return inputs, targets[share], weights[share]


def averaging(optimizer: keras.optimizers.Optimizer, machine: Machine) -> keras.optimizers.Optimizer:
    """Make an optimiser apply the mean of all machines' gradients, and return it."""
    apply = optimizer.apply

    def apply_mean(gradients: list, trainable_variables: list | None = None):
        shapes = [tuple(gradient.shape) for gradient in gradients]
        flat = keras.ops.concatenate([keras.ops.cast(keras.ops.ravel(g), "float32") for g in gradients])
        mean = sum_over_machines(flat, machine, GRADIENTS) / machine.count
        ends = np.cumsum([int(np.prod(shape)) for shape in shapes])[:-1].tolist()
        parts = zip(keras.ops.split(mean, ends), gradients, shapes, strict=True)
        return apply([keras.ops.cast(keras.ops.reshape(p, s), g.dtype) for p, g, s in parts], trainable_variables)

    optimizer.apply = apply_mean
    return optimizer


class Agree(keras.callbacks.Callback):
    """Average metrics and batch normalisation statistics over the machines after each epoch.

    It must be the first callback, so that all machines stop and save weights at the same epochs.
    """

    def __init__(self, machine: Machine) -> None:
        super().__init__()
        self._machine = machine

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Replace metrics and float32 state by their means over the machines."""
        names = sorted(logs or {})
        values = self._mean(np.array([float(logs[name]) for name in names], np.float32), LOGS)
        logs.update(zip(names, map(float, values), strict=True))
        state = [v for v in self.model.non_trainable_variables if v.dtype == "float32"]
        if state:
            arrays = [keras.ops.convert_to_numpy(variable) for variable in state]
            mean = self._mean(np.concatenate([array.ravel() for array in arrays]), STATE)
            for variable, part in zip(state, np.split(mean, np.cumsum([a.size for a in arrays])[:-1]), strict=True):
                variable.assign(part.reshape(variable.shape))

    def _mean(self, values: np.ndarray, exchange: int) -> np.ndarray:
        total = sum_over_machines(keras.ops.convert_to_tensor(values), self._machine, exchange)
        return keras.ops.convert_to_numpy(total) / self._machine.count
