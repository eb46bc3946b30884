"""The first phase of a network that is taught where to look: masks and classes at once."""

from pathlib import Path

import keras
import numpy as np
import pandas as pd

from bonexray.networks.heads import CLASSES
from bonexray.train.batches import Batches
from bonexray.train.cohort import Cohort
from bonexray.train.fit import Diverged
from bonexray.train.objective import loss_of, optimizer_of
from bonexray.train.statistics import Reestimate

HISTORY = "locator.csv"  # in models/<model>/, one row an epoch
MONITOR = "val_loss"


def teach_locator(network: keras.Model, cohort: Cohort, folder: Path) -> None:
    """Train every layer to find the masks and to tell the classes, and freeze all but the layer of classes.

    The loss is the sum of that of the classes and of `MaskLoss`. An image of which it is not known where to look teaches
    its class alone. The epoch with the lowest loss on validation is kept. Freezing keeps the map as it was taught, while
    the layer of classes is trained like that of any other network.

    Args:
        network: from image to class probabilities, with the layer `cohort.row.locator`.
        cohort: its training data and settings.
        folder: where locator.csv is written.

    Raises:
        Diverged: the loss is no longer a finite number.
    """
    settings, checkpoint = cohort.train, folder / "locator.weights.h5"
    evidence = network.get_layer(cohort.row.locator).output
    both = keras.Model(network.input, [evidence, network.output])
    train, val = (_Located(cohort.located(split, learning=split == "train"), cohort) for split in ("train", "val"))
    optimizer = optimizer_of(settings, settings.learning_rate, len(train), settings.epochs)
    both.compile(optimizer, [MaskLoss(), loss_of(settings)])
    history = both.fit(
        train,
        validation_data=val,
        epochs=settings.epochs,
        shuffle=False,
        verbose=0,
        callbacks=_callbacks(cohort, checkpoint),
    )
    table = pd.DataFrame(history.history)
    if not np.isfinite(table[["loss", MONITOR]].to_numpy()).all():
        do = "lower train.learning_rate"
        raise Diverged("training of the locator", expected="a finite loss", received="another", do=do)
    table.insert(0, "epoch", range(1, len(table) + 1))
    table.to_csv(folder / HISTORY, index=False, lineterminator="\n")
    both.load_weights(checkpoint)
    checkpoint.unlink()
    for layer in network.layers:
        layer.trainable = layer.name == CLASSES


def _callbacks(cohort: Cohort, checkpoint: Path) -> list[keras.callbacks.Callback]:
    settings = cohort.train
    reduction = keras.callbacks.ReduceLROnPlateau(
        MONITOR, factor=settings.lr_factor, patience=settings.lr_patience, min_lr=settings.min_lr, mode="min"
    )
    return [
        Reestimate(cohort.images("train")),
        keras.callbacks.TerminateOnNaN(),
        keras.callbacks.ModelCheckpoint(checkpoint, MONITOR, save_best_only=True, save_weights_only=True, mode="min"),
        *([reduction] if settings.schedule == "plateau" else []),
        keras.callbacks.EarlyStopping(MONITOR, patience=settings.patience, mode="min"),
    ]


class MaskLoss(keras.losses.Loss):
    """Cross entropy of the pixels, a mean, plus 1 minus the Dice coefficient, for each image.

    The Dice coefficient counts a finding of few pixels as much as one of many; cross entropy gives pixels a slope that
    are far from any finding. One is added above and below in the coefficient, so that an empty mask is met by an empty
    map.

    References:
        Milletari et al., V-Net, 3DV 2016 (Dice); Isensee et al., nnU-Net, Nature Methods 18, 2021 (their sum).
    """

    def call(self, y_true, y_pred):
        """Return the loss (images,) of maps (images, px, px, 1) in [0, 1]."""
        places = (1, 2, 3)
        shares = keras.ops.clip(y_pred, 1e-6, 1 - 1e-6)
        entropy = -(y_true * keras.ops.log(shares) + (1 - y_true) * keras.ops.log(1 - shares))
        shared = 2 * keras.ops.sum(y_true * y_pred, axis=places) + 1
        both = keras.ops.sum(y_true, axis=places) + keras.ops.sum(y_pred, axis=places) + 1
        return keras.ops.mean(entropy, axis=places) + 1 - shared / both


class _Located(keras.utils.PyDataset):
    """Batches of images with masks and classes as targets, and the weights of both.

    Args:
        batches: of `Cohort.located`.
        cohort: with the weights of the classes.
    """

    def __init__(self, batches: Batches, cohort: Cohort) -> None:
        super().__init__()
        self._batches, weights = batches, cohort.class_weight or {}
        self._weights = np.array([weights.get(number, 1.0) for number in range(len(cohort.classes))], np.float32)

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, batch: int) -> tuple:
        (images, masks, known), targets = self._batches[batch]
        numbers = targets.argmax(axis=1) if targets.shape[1] > 1 else targets[:, 0].astype(int)
        return images, (masks, targets), (known.astype(np.float32), self._weights[numbers])

    def on_epoch_end(self) -> None:
        """Start the next epoch."""
        self._batches.on_epoch_end()
