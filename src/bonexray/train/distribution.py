"""Training on several machines, and on several devices of each, in place of one device."""

from dataclasses import dataclass

import keras

from bonexray.runtime import devices_in_scope, this_machine
from bonexray.train.batches import Batches
from bonexray.train.keras_batches import KerasBatches
from bonexray.train.machines import Agree, Share, averaging
from bonexray.train.replicas import EvenBatches


@dataclass(frozen=True)
class Distributed:
    """What `compile` and `fit` need for a training on every device of every machine.

    Attributes:
        optimizer: averages gradients over machines.
        train: this machine's share of each training batch, divisible by its devices.
        val: validation batches, divisible by its devices.
        class_weight: weight of each class in the loss; None if the batches carry the weights.
        metrics: the keyword of `compile` under which the accuracy leaves out filler rows, with its metrics.
        callbacks: come before all others, so that every machine sees the same metrics.
    """

    optimizer: keras.optimizers.Optimizer
    train: keras.utils.PyDataset
    val: keras.utils.PyDataset
    class_weight: dict[int, float] | None
    metrics: dict[str, list[str]]
    callbacks: list[keras.callbacks.Callback]


def distribute(
    optimizer: keras.optimizers.Optimizer, train: Batches, val: Batches, class_weight: dict[int, float] | None
) -> Distributed:
    """Divide a training among the machines of the cluster and the devices in scope.

    One device of one machine gets whole batches.

    Args:
        optimizer: of the training.
        train: shuffled batches of the training split.
        val: batches of the validation split.
        class_weight: weight of each class in the loss, or None.
    """
    machine, devices, metrics = this_machine(), devices_in_scope(), "metrics"
    learning, held_out = KerasBatches(train), KerasBatches(val)
    callbacks: list[keras.callbacks.Callback] = []
    if machine.count > 1:
        optimizer, callbacks = averaging(optimizer, machine), [Agree(machine)]
        learning, class_weight = Share(train, machine, class_weight), None
    if devices > 1:
        learning, held_out = EvenBatches(learning, devices, class_weight, learning=True), EvenBatches(val, devices)
        class_weight, metrics = None, "weighted_metrics"
    return Distributed(optimizer, learning, held_out, class_weight, {metrics: ["accuracy"]}, callbacks)
