"""Fit a network to the training split and keep the weights of the epoch with the lowest validation log loss."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from bonexray.base.errors import BonexrayError
from bonexray.networks.outputs import class_probabilities
from bonexray.progress import progress
from bonexray.train.batches import Batches
from bonexray.train.distribution import distribute
from bonexray.train.objective import MONITOR, log_loss_of, loss_of, optimizer_of, reduction_of
from bonexray.train.recorded import EpochListener
from bonexray.train.settings import Train
from bonexray.train.statistics import Reestimate


class Diverged(BonexrayError):
    """The loss is no longer a finite number."""


@dataclass(frozen=True)
class Phase:
    """A part of training that has its own optimiser.

    Attributes:
        name: the part that is trained, `head` or `network`.
        epochs: the maximum number of epochs.
        learning_rate: the largest learning rate.
        epochs_before: number of epochs of earlier phases.
        best: the lowest validation log loss of earlier phases; weights are saved only below it.
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
    """Train until the validation log loss stops falling and save the weights of the best epoch.

    Args:
        network: from inputs to class probabilities.
        train: shuffled batches of the training split.
        val: batches of the validation split, never augmented.
        class_weight: weight of each class in the loss, or None.
        settings: loss, optimiser, schedule, patience.
        phase: epochs and learning rate.
        checkpoint: a `.weights.h5` file, written after each epoch that improves on `phase.best`.
        on_epoch: called after each epoch with its number, counted from 1, and its metrics.

    Returns:
        One row per epoch: epoch; phase; loss (which is minimised, weight penalties included), accuracy and log_loss of
        training, and with `val_` of validation; learning_rate. The best epoch has the lowest val_log_loss.

    Raises:
        Diverged: if a loss is not finite.
    """
    return Fitting(network, train, val, class_weight, settings, phase).run(settings, phase, checkpoint, on_epoch)


class Fitting:
    """A network that is compiled once and can be trained several times; compiling takes longer than training a head.

    Args:
        network: as for `fit`, like the other arguments.
    """

    def __init__(
        self,
        network: keras.Model,
        train: Batches,
        val: Batches,
        class_weight: dict[int, float] | None,
        settings: Train,
        phase: Phase,
    ) -> None:
        self._network, self._train = network, train
        optimizer = optimizer_of(settings, phase.learning_rate, len(train), phase.epochs)
        self._parts = distribute(optimizer, train, val, class_weight)
        metrics = {key: [*names, log_loss_of(settings)] for key, names in self._parts.metrics.items()}
        network.compile(self._parts.optimizer, loss_of(settings), **metrics)

    def beginning(self) -> list[np.ndarray]:
        """Return the weights and the state of the optimiser before training."""
        self._network.optimizer.build(self._network.trainable_variables)
        return values_of([*self._network.variables, *self._network.optimizer.variables])

    def restart(self, beginning: Sequence[np.ndarray], learning_rate: float) -> None:
        """Return to the beginning, with the first order of images, at another learning rate.

        Args:
            beginning: result of the method `beginning`.
            learning_rate: the new rate; not for a cosine schedule, which is compiled into the network.
        """
        set_values([*self._network.variables, *self._network.optimizer.variables], beginning)
        self._network.optimizer.learning_rate = learning_rate
        self._train.rewind()

    def run(self, settings: Train, phase: Phase, checkpoint: Path, on_epoch: EpochListener) -> pd.DataFrame:
        """Train as `fit` does."""
        parts, history = self._parts, _History(phase, on_epoch)
        threshold = phase.best if math.isfinite(phase.best) else None
        self._network.fit(
            parts.train,
            validation_data=parts.val,
            epochs=phase.epochs,
            class_weight=parts.class_weight,
            shuffle=False,
            verbose=0,
            callbacks=[
                Reestimate(self._train),
                *parts.callbacks,
                history,
                _Bar(phase),
                keras.callbacks.ModelCheckpoint(
                    checkpoint,
                    MONITOR,
                    save_best_only=True,
                    save_weights_only=True,
                    mode="min",
                    initial_value_threshold=threshold,
                ),
                *reduction_of(settings),
                keras.callbacks.EarlyStopping(MONITOR, patience=settings.patience, baseline=threshold, mode="min"),
            ],
        )
        return pd.DataFrame(history.rows)


def values_of(variables: Sequence[keras.Variable]) -> list[np.ndarray]:
    """Return copies of the values of variables."""
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def set_values(variables: Sequence[keras.Variable], values: Sequence[np.ndarray]) -> None:
    """Assign values to variables."""
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def probabilities(network: keras.Model, batches: Batches) -> np.ndarray:
    """Return the class probabilities of unshuffled batches, float32 (images, classes)."""
    outputs = [network.predict_on_batch(batches[number][0]) for number in range(len(batches))]
    return class_probabilities(np.concatenate(outputs))


class _History(keras.callbacks.Callback):
    """Record each epoch's metrics, pass them on, and raise `Diverged` if a loss is not finite."""

    def __init__(self, phase: Phase, on_epoch: EpochListener) -> None:
        super().__init__()
        self.rows: list[dict[str, float]] = []
        self._phase, self._on_epoch = phase, on_epoch

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self._require_finite("loss", (logs or {})["loss"])

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        names = ("loss", "accuracy", "log_loss", "val_loss", "val_accuracy", "val_log_loss")
        metrics = {name: float((logs or {})[name]) for name in names}  # a missing metric raises KeyError
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
    """Show a progress bar for each epoch of a phase that trains the whole network."""

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
