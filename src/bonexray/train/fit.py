"""Fitting: training fits, validation selects, and the best weights are what is kept."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import pandas as pd
from sklearn.utils.class_weight import compute_class_weight

from bonexray.errors import BonexrayError
from bonexray.networks.heads import class_probabilities
from bonexray.progress import progress
from bonexray.runtime import devices_in_scope, this_machine
from bonexray.train.batches import Batches
from bonexray.train.machines import Agree, Share, averaging
from bonexray.train.objective import MONITOR, loss_of, optimizer_of, reduction_of
from bonexray.train.replicas import EvenBatches
from bonexray.train.settings import Train

EpochListener = Callable[[int, dict[str, float]], None]


class Diverged(BonexrayError):
    """A loss that is not a number any more."""


@dataclass(frozen=True)
class Phase:
    """A stretch of training with one optimiser.

    Attributes:
        name: what learns, `head` or `network`.
        epochs: at most.
        learning_rate: the largest.
        epochs_before: of earlier phases.
        best: the lowest validation loss of earlier phases; only a lower one is kept.
    """

    name: str
    epochs: int
    learning_rate: float
    epochs_before: int = 0
    best: float = math.inf


def fit(
    network: keras.Model,
    train: Batches,
    val: Batches,
    class_weight: dict[int, float] | None,
    settings: Train,
    phase: Phase,
    checkpoint: Path,
    on_epoch: EpochListener,
) -> pd.DataFrame:
    """Train until the validation loss stops falling; leave the best epoch's weights in `checkpoint`.

    Args:
        network: from inputs to class probabilities.
        train: shuffled batches of the training split.
        val: batches of the validation split, never altered.
        class_weight: weight of each class in the loss, or None.
        settings: loss, optimiser, schedule, patience.
        phase: epochs and learning rate.
        checkpoint: a `.weights.h5` file, written where an epoch is better than `phase.best`.
        on_epoch: called after each epoch with its number, from 1, and its metrics.

    Returns:
        One row an epoch: epoch, phase, loss, accuracy, val_loss, val_accuracy, learning_rate.

    Raises:
        Diverged: the loss is not a number any more.
    """
    optimizer = optimizer_of(settings, phase.learning_rate, len(train), phase.epochs)
    history, machine, devices = _History(phase, on_epoch), this_machine(), devices_in_scope()
    together: list[keras.callbacks.Callback] = []
    if machine.count > 1:
        optimizer, together = averaging(optimizer, machine), [Agree(machine)]
        train, class_weight = Share(train, machine, class_weight), None  # the share carries the weights
    accuracy = "metrics"
    if devices > 1:
        train, val = EvenBatches(train, devices, class_weight, learning=True), EvenBatches(val, devices)
        class_weight, accuracy = None, "weighted_metrics"
    network.compile(optimizer, loss_of(settings), **{accuracy: ["accuracy"]})
    known = phase.best if math.isfinite(phase.best) else None
    network.fit(
        train,
        validation_data=val,
        epochs=phase.epochs,
        class_weight=class_weight,
        shuffle=False,
        verbose=0,
        callbacks=[
            *together,
            history,
            _Bar(phase),
            keras.callbacks.ModelCheckpoint(
                checkpoint,
                MONITOR,
                save_best_only=True,
                save_weights_only=True,
                mode="min",
                initial_value_threshold=known,
            ),
            *reduction_of(settings),
            keras.callbacks.EarlyStopping(MONITOR, patience=settings.patience, baseline=known, mode="min"),
        ],
    )
    return pd.DataFrame(history.rows)


def balanced_weights(labels: np.ndarray) -> dict[int, float]:
    """Weights that make every class count the same in the loss: images / (classes x images of the class)."""
    present = np.unique(labels)
    return {
        int(c): float(w)
        for c, w in zip(present, compute_class_weight("balanced", classes=present, y=labels), strict=True)
    }


def probabilities(network: keras.Model, batches: Batches) -> np.ndarray:
    """Class probabilities of unshuffled batches, float32 (images, classes)."""
    outputs = [network.predict_on_batch(batches[number][0]) for number in range(len(batches))]
    return class_probabilities(np.concatenate(outputs))


class _History(keras.callbacks.Callback):
    """Collects the epochs' metrics, tells the listener, and stops on a loss that is not a number."""

    def __init__(self, phase: Phase, on_epoch: EpochListener) -> None:
        super().__init__()
        self.rows: list[dict[str, float]] = []
        self._phase, self._on_epoch = phase, on_epoch

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self._require_finite("loss", (logs or {})["loss"])

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        names = ("loss", "accuracy", "val_loss", "val_accuracy")
        metrics = {name: float((logs or {})[name]) for name in names}  # a missing one is an error, not a warning
        metrics["learning_rate"] = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        self._require_finite("val_loss", metrics["val_loss"])
        number = self._phase.epochs_before + epoch + 1
        self.rows.append({"epoch": number, "phase": self._phase.name, **metrics})
        self._on_epoch(number, metrics)

    def _require_finite(self, name: str, value: float) -> None:
        if not math.isfinite(value):
            raise Diverged(
                f"training, epoch {self._phase.epochs_before + len(self.rows) + 1}",
                expected=f"a finite {name}",
                received=value,
                do="lower train.learning_rate, or fine_tune.learning_rate in its phase",
            )


class _Bar(keras.callbacks.Callback):
    """How far the epoch is, where an epoch takes long."""

    def __init__(self, phase: Phase) -> None:
        super().__init__()
        self._phase = phase

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        steps = self.params["steps"] if self._phase.name == "network" else 0
        self._steps = progress(range(steps), f"epoch {self._phase.epochs_before + epoch + 1}", steps, passing=True)

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        next(self._steps, None)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self._steps.close()
