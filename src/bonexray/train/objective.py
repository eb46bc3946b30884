"""What training minimises and how: Keras's losses, optimisers and schedules by the names of the settings."""

from collections.abc import Callable

import keras
import numpy as np

from bonexray.registry import require_output
from bonexray.train.settings import Train

OPTIMIZERS: dict[str, Callable[..., keras.optimizers.Optimizer]] = {
    "adam": keras.optimizers.Adam,
    "adamw": keras.optimizers.AdamW,
    "adamax": keras.optimizers.Adamax,
}
LOSSES: dict[tuple[str, str], Callable[[Train], keras.losses.Loss]] = {
    ("softmax", "cross_entropy"): lambda s: keras.losses.CategoricalCrossentropy(label_smoothing=s.label_smoothing),
    ("sigmoid", "cross_entropy"): lambda s: keras.losses.BinaryCrossentropy(label_smoothing=s.label_smoothing),
    ("softmax", "focal"): lambda s: keras.losses.CategoricalFocalCrossentropy(
        alpha=1.0, gamma=s.focal_gamma, label_smoothing=s.label_smoothing
    ),
    ("sigmoid", "focal"): lambda s: keras.losses.BinaryFocalCrossentropy(
        gamma=s.focal_gamma, label_smoothing=s.label_smoothing
    ),
}
MONITOR = "val_loss"


def targets_of(labels: np.ndarray, classes: int, settings: Train) -> np.ndarray:
    """Labels as the network's output is to be: one column a class, or for a sigmoid one column, 1 the second class.

    Args:
        labels: int (images,), places in the class map.
        classes: number of classes.
        settings: the output.

    Returns:
        float32 (images, classes) or (images, 1).

    Raises:
        BonexrayError: a sigmoid for other than two classes.
    """
    require_output(settings.output, classes)
    if settings.output == "softmax":
        return np.eye(classes, dtype=np.float32)[labels]
    return labels[:, None].astype(np.float32)


def loss_of(settings: Train) -> keras.losses.Loss:
    """The loss of the settings' output, with its label smoothing and, where focal, its gamma."""
    return LOSSES[settings.output, settings.loss](settings)


def optimizer_of(settings: Train, learning_rate: float, steps: int, epochs: int) -> keras.optimizers.Optimizer:
    """The optimiser, at a constant learning rate or on a cosine that falls from it after a linear warm-up.

    Args:
        settings: optimiser, schedule, warm-up and the smallest learning rate.
        learning_rate: the largest.
        steps: batches an epoch.
        epochs: how many there will be at most.
    """
    rate: float | keras.optimizers.schedules.CosineDecay = learning_rate
    if settings.schedule == "cosine":
        warmup = min(settings.warmup_epochs, epochs - 1) * steps
        rate = keras.optimizers.schedules.CosineDecay(
            0.0 if warmup else learning_rate,
            epochs * steps - warmup,
            alpha=min(1.0, settings.min_lr / learning_rate),
            warmup_target=learning_rate if warmup else None,
            warmup_steps=warmup,
        )
    return OPTIMIZERS[settings.optimizer](learning_rate=rate)


def reduction_of(settings: Train) -> list[keras.callbacks.Callback]:
    """Where asked, the reduction of the learning rate when validation stops improving."""
    if settings.schedule != "plateau":
        return []
    return [
        keras.callbacks.ReduceLROnPlateau(
            MONITOR, factor=settings.lr_factor, patience=settings.lr_patience, min_lr=settings.min_lr
        )
    ]
