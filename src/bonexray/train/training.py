"""Training of one network from the files of earlier stages."""

from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import pandas as pd

from bonexray.backbones.weights import load_starting_weights
from bonexray.data.paths import MODEL_WEIGHTS
from bonexray.networks.heads import CLASSES, STANDARDIZE
from bonexray.networks.settings import LINEAR
from bonexray.networks.trainable import HEAD, backbone_of, build_trainable, head_of
from bonexray.registry import FINE_TUNE, FROZEN, FULL, SCRATCH, model_row
from bonexray.runtime import distribution
from bonexray.train.batches import Batches
from bonexray.train.candidates import candidates_of, choice_of, compiled_in
from bonexray.train.card import image_side
from bonexray.train.cohort import Cohort
from bonexray.train.fit import Fitting, Phase, fit, set_values, values_of
from bonexray.train.linear import fit_linear_head, tell
from bonexray.train.locator import teach_locator
from bonexray.train.objective import MONITOR
from bonexray.train.recorded import EpochListener

NETWORK = "network"


class Trained(NamedTuple):
    """The result of a training.

    Attributes:
        network: the network with the weights that were kept.
        history: one row per epoch, or per penalty of a linear head.
        choice: what was chosen on validation before or during training, see `choice_of`; empty if nothing was.
    """

    network: keras.Model
    history: pd.DataFrame
    choice: dict[str, object]


def train_model(name: str, cohort: Cohort, folder: Path, on_epoch: EpochListener) -> Trained:
    """Fit a model and reload the weights of its best epoch.

    Args:
        name: a key of `REGISTRY`.
        cohort: its training data and settings.
        folder: where model.weights.h5, the weights of the epoch with the lowest validation log loss, is written.
        on_epoch: called after each epoch with its number and metrics.

    Returns:
        The network with the weights of that file, the history, and what was chosen on validation.
    """
    checkpoint, weights = folder / "checkpoint.weights.h5", folder / MODEL_WEIGHTS
    with distribution():
        history, choice = TRAININGS[cohort.row.mode](name, cohort, checkpoint, on_epoch)
    best = _build(name, cohort)  # outside the scope, where a network would predict once per device
    best.load_weights(checkpoint)
    best.save_weights(weights)  # without the optimiser's state, which the checkpoint contains
    checkpoint.unlink()
    best.load_weights(weights)
    return Trained(best, history, choice)


def _train_head(name: str, cohort: Cohort, checkpoint: Path, on_epoch: EpochListener) -> tuple[pd.DataFrame, dict]:
    """Train a head on cached features; the same procedure chooses its settings on validation for every network."""
    head = head_of(name, len(cohort.classes), cohort.train)
    linear = (cohort.row.head or cohort.train.head) == LINEAR
    history, choice = (_solve_head if linear else _descend_head)(head, cohort, checkpoint)
    tell(history, on_epoch)
    return history, choice


def _descend_head(head: keras.Model, cohort: Cohort, checkpoint: Path) -> tuple[pd.DataFrame, dict]:
    """Train a head once with every candidate, from the same weights and with the same batches, and keep the best."""
    adapt(head, cohort.features("train"))
    candidates, histories, start = candidates_of(cohort.train), [], values_of(head.variables)  # with dropout's state
    files = [checkpoint.with_name(f"candidate-{number}.weights.h5") for number in range(len(candidates))]
    for _, alike in groupby(zip(candidates, files, strict=True), key=lambda pair: compiled_in(pair[0])):
        for number, (settings, file) in enumerate(alike):
            phase = Phase(HEAD, settings.epochs, settings.learning_rate)
            if number == 0:
                set_values(head.variables, start)
                train, val = cohort.features("train", learning=True), cohort.features("val")
                fitting = Fitting(head, train, val, cohort.class_weight, settings, phase)
                beginning = fitting.beginning()
            else:
                fitting.restart(beginning, settings.learning_rate)
            histories.append(fitting.run(settings, phase, file, lambda *_: None))
    losses = [float(history[MONITOR].min()) for history in histories]
    kept = losses.index(min(losses))
    files[kept].replace(checkpoint)
    for file in files:
        file.unlink(missing_ok=True)
    varied = [settings.model_dump(include={"learning_rate", "weight_decay"}) for settings in candidates]
    return histories[kept], choice_of(varied, losses)


def _solve_head(head: keras.Model, cohort: Cohort, checkpoint: Path) -> tuple[pd.DataFrame, dict]:
    """Fit a linear head; its history has a row for each penalty, from weak to strong, instead of each epoch."""
    fitted = fit_linear_head(cohort)
    if fitted.scaling:
        head.get_layer(STANDARDIZE).set_weights(fitted.scaling)
    head.get_layer(CLASSES).set_weights(fitted.classes)
    head.save_weights(checkpoint)
    return fitted.history, fitted.choice


def _train_network(name: str, cohort: Cohort, checkpoint: Path, on_epoch: EpochListener) -> tuple[pd.DataFrame, dict]:
    """Train every layer on images, from random weights or from the backbones' starting weights.

    A network that is taught where to look learns that first; then only its layer of classes is trained.
    """
    network = _build(name, cohort)
    _start_backbones(network, name)
    if cohort.row.locator:
        teach_locator(network, cohort, checkpoint.parent)
    phase = Phase(NETWORK, cohort.train.epochs, cohort.train.learning_rate)
    train, val = cohort.images("train", learning=True), cohort.images("val")
    return fit(network, train, val, cohort.class_weight, cohort.train, phase, checkpoint, on_epoch), {}


def _fine_tune(name: str, cohort: Cohort, checkpoint: Path, on_epoch: EpochListener) -> tuple[pd.DataFrame, dict]:
    """Train a head on cached features, then the upper blocks with it at their own learning rate.

    The weights of the first phase are kept unless the second improves the validation log loss.
    """
    head_history, choice = _train_head(name, cohort, checkpoint, on_epoch)
    head = head_of(name, len(cohort.classes), cohort.train)
    head.load_weights(checkpoint)
    network = _build(name, cohort)
    _start_backbones(network, name)
    network.get_layer(HEAD).set_weights(head.get_weights())
    checkpoint.unlink()
    network.save_weights(checkpoint)
    options = cohort.row.fine_tune
    phase = Phase(NETWORK, options.epochs, options.learning_rate, len(head_history), float(head_history[MONITOR].min()))
    train, val = cohort.images("train", learning=True), cohort.images("val")
    network_history = fit(network, train, val, cohort.class_weight, cohort.train, phase, checkpoint, on_epoch)
    return pd.concat([head_history, network_history], ignore_index=True), choice


TRAININGS = {FROZEN: _train_head, SCRATCH: _train_network, FULL: _train_network, FINE_TUNE: _fine_tune}


def adapt(head: keras.Model, train: Batches) -> None:
    """Set the statistics of a standardising head to those of the training split."""
    if STANDARDIZE not in {layer.name for layer in head.layers}:
        return
    inputs = (train[number][0] for number in range(len(train)))
    head.get_layer(STANDARDIZE).adapt(
        np.concatenate(batch, axis=1) if isinstance(batch, tuple) else batch for batch in inputs
    )


def _build(name: str, cohort: Cohort) -> keras.Model:
    blocks = cohort.row.fine_tune.blocks if cohort.row.fine_tune else None
    classes, conventions = len(cohort.classes), cohort.conventions
    return build_trainable(name, cohort.row.mode, image_side(cohort), classes, cohort.train, blocks, conventions)


def _start_backbones(network: keras.Model, name: str) -> None:
    for backbone in model_row(name).backbones:
        load_starting_weights(backbone_of(network, backbone), backbone)
