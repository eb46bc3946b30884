"""Fitting: training fits, validation selects, and the best weights are what is kept."""

import math
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pandas as pd
from sklearn.utils.class_weight import compute_class_weight

from bonexray.config import Train
from bonexray.errors import BonexrayError
from bonexray.training.batches import Batches

OPTIMIZERS = {
    "adam": keras.optimizers.Adam,
    "adamw": keras.optimizers.AdamW,
    "adamax": keras.optimizers.Adamax,
}
MONITOR = "val_loss"
EpochListener = Callable[[int, dict[str, float]], None]


def fit(
    network: keras.Model, train: Batches, val: Batches, class_weight: dict[int, float] | None, settings: Train,
    checkpoint: Path, on_epoch: EpochListener,
) -> pd.DataFrame:  # fmt: skip
    """Train until the validation loss stops falling; leave the best epoch's weights in `checkpoint`.

    Args:
        network: from inputs to class probabilities.
        train: shuffled batches of the training split.
        val: batches of the validation split, never altered.
        class_weight: weight of each class in the loss, or None.
        settings: epochs, optimiser, learning rate and its reduction, patience.
        checkpoint: a `.weights.h5` file.
        on_epoch: called after each epoch with its number, from 1, and its metrics.

    Returns:
        One row an epoch: epoch, loss, accuracy, val_loss, val_accuracy, learning_rate.

    Raises:
        BonexrayError: the loss is not a number any more.
    """
    optimizer = OPTIMIZERS[settings.optimizer](learning_rate=settings.learning_rate)
    network.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = _History(on_epoch)
    network.fit(
        train, validation_data=val, epochs=settings.epochs, class_weight=class_weight, shuffle=False, verbose=0,
        callbacks=[
            history,
            keras.callbacks.ModelCheckpoint(checkpoint, MONITOR, save_best_only=True, save_weights_only=True),
            keras.callbacks.ReduceLROnPlateau(
                MONITOR, factor=settings.lr_factor, patience=settings.lr_patience, min_lr=settings.min_lr
            ),
            keras.callbacks.EarlyStopping(MONITOR, patience=settings.patience),
        ],
    )  # fmt: skip
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
    return np.concatenate([network.predict_on_batch(batches[number][0]) for number in range(len(batches))])


class _History(keras.callbacks.Callback):
    """Collects the epochs' metrics, tells the listener, and stops on a loss that is not a number."""

    def __init__(self, on_epoch: EpochListener) -> None:
        super().__init__()
        self.rows: list[dict[str, float]] = []
        self._on_epoch = on_epoch

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self._require_finite("loss", (logs or {})["loss"])

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        names = ("loss", "accuracy", "val_loss", "val_accuracy")
        metrics = {name: float((logs or {})[name]) for name in names}  # a missing one is an error, not a warning
        metrics["learning_rate"] = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        self._require_finite("val_loss", metrics["val_loss"])
        self.rows.append({"epoch": epoch + 1, **metrics})
        self._on_epoch(epoch + 1, metrics)

    def _require_finite(self, name: str, value: float) -> None:
        if not math.isfinite(value):
            raise BonexrayError(
                f"training, epoch {len(self.rows) + 1}", expected=f"a finite {name}", received=value,
                do="lower train.learning_rate",
            )  # fmt: skip
