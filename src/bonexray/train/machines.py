"""One training over several machines: each computes on its share of every batch, and their gradients are averaged.

Keras's `fit` does not run under TensorFlow's multi-worker strategy, so the one exchange that training needs is put
where gradients meet the optimiser. Every machine runs the same command on the same files and ends with the same
weights.
"""

import keras
import numpy as np

from bonexray.runtime import Machine, sum_over_machines
from bonexray.train.batches import Batches
from bonexray.train.replicas import row_weights

GRADIENTS, LOGS, STATE = 1, 2, 3  # what is being exchanged; the same number on every machine


class Share(keras.utils.PyDataset):
    """A machine's rows of every batch, weighted so that the average over machines is the average over the batch.

    Args:
        batches: of the whole, in the same order on every machine.
        machine: which share.
        class_weight: weight of each class in the loss, or None.
    """

    def __init__(self, batches: Batches, machine: Machine, class_weight: dict[int, float] | None) -> None:
        super().__init__()
        self._batches, self._machine, self._class_weight = batches, machine, class_weight

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, batch: int) -> tuple:
        inputs, targets = self._batches[batch]
        weights = row_weights(targets, self._class_weight)
        mine = np.array_split(np.arange(len(targets)), self._machine.count)[self._machine.rank]
        weights = weights * (len(mine) * self._machine.count / len(targets))
        if not len(mine):  # every machine takes part in every exchange
            mine, weights = np.zeros(1, int), np.zeros_like(weights)
        chosen = tuple(array[mine] for array in inputs) if isinstance(inputs, tuple) else inputs[mine]
        return chosen, targets[mine], weights[mine]

    def on_epoch_end(self) -> None:
        """Go on to the next epoch."""
        self._batches.on_epoch_end()


def averaging(optimizer: keras.optimizers.Optimizer, machine: Machine) -> keras.optimizers.Optimizer:
    """The same optimiser, given the mean of all machines' gradients."""
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
    """After each epoch every machine has the mean of their metrics and of their batch normalisation's statistics.

    It comes first among callbacks, so that all machines stop and keep alike.
    """

    def __init__(self, machine: Machine) -> None:
        super().__init__()
        self._machine = machine

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Exchange and average."""
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
