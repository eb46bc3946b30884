"""Losses, optimisers and learning rate schedules of Keras, by the names that the settings use."""

from collections.abc import Callable

import keras

from bonexray.networks.outputs import OUTPUTS
from bonexray.train.settings import Train

OPTIMIZERS: dict[str, Callable[..., keras.optimizers.Optimizer]] = {
    "adam": keras.optimizers.Adam,
    "adamw": keras.optimizers.AdamW,
    "adamax": keras.optimizers.Adamax,
}
_OF_SEVERAL: dict[str, Callable[[Train], keras.losses.Loss]] = {
    "cross_entropy": lambda s: keras.losses.CategoricalCrossentropy(label_smoothing=s.label_smoothing),
    "focal": lambda s: keras.losses.CategoricalFocalCrossentropy(
        alpha=1.0, gamma=s.focal_gamma, label_smoothing=s.label_smoothing
    ),
}
_OF_TWO: dict[str, Callable[[Train], keras.losses.Loss]] = {
    "cross_entropy": lambda s: keras.losses.BinaryCrossentropy(label_smoothing=s.label_smoothing),
    "focal": lambda s: keras.losses.BinaryFocalCrossentropy(gamma=s.focal_gamma, label_smoothing=s.label_smoothing),
}
# Class weights multiply the loss of an image, also for ordered classes: so every output learns the same prior.
LOSSES: dict[tuple[str, str], Callable[[Train], keras.losses.Loss]] = {
    (output, name): loss
    for output in OUTPUTS
    for name, loss in (_OF_TWO if output == "sigmoid" else _OF_SEVERAL).items()
}
MONITOR = "val_log_loss"  # plain: no penalty of weights, class weights, label smoothing or focal term


def loss_of(settings: Train) -> keras.losses.Loss:
    """Return the loss of the settings, with their label smoothing and, for focal loss, gamma."""
    return LOSSES[settings.output, settings.loss](settings)


def log_loss_of(settings: Train) -> keras.metrics.Metric:
    """Return the metric `log_loss`, the mean negative logarithm of the probability of the actual class."""
    of_two = settings.output == "sigmoid"
    return (keras.metrics.BinaryCrossentropy if of_two else keras.metrics.CategoricalCrossentropy)(name="log_loss")


def optimizer_of(settings: Train, learning_rate: float, steps: int, epochs: int) -> keras.optimizers.Optimizer:
    """Return the optimiser, with a constant learning rate or a cosine decay after a linear warm-up.

    Args:
        settings: optimiser, weight decay, schedule, warm-up and smallest learning rate.
        learning_rate: the largest learning rate.
        steps: batches per epoch.
        epochs: maximum number of epochs.
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
    decay = {} if settings.weight_decay is None else {"weight_decay": settings.weight_decay}
    return OPTIMIZERS[settings.optimizer](learning_rate=rate, **decay)


def reduction_of(settings: Train) -> list[keras.callbacks.Callback]:
    """Return the callback that lowers the learning rate on a plateau; none for other schedules."""
    if settings.schedule != "plateau":
        return []
    return [
        keras.callbacks.ReduceLROnPlateau(
            MONITOR, factor=settings.lr_factor, patience=settings.lr_patience, min_lr=settings.min_lr, mode="min"
        )
    ]
