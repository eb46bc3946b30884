"""Training of one model from the files of earlier stages, and the card that identifies it."""

from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import pandas as pd

from bonexray.backbones.cost import multiply_adds
from bonexray.backbones.weights import load_starting_weights
from bonexray.base.hashing import digest, sha256_of
from bonexray.data.arrays import ArrayFile
from bonexray.data.features_card import read_features_card
from bonexray.data.folds import runs_of
from bonexray.data.manifest import read_leak_suspect
from bonexray.data.paths import IMAGES, MANIFEST, MODEL_WEIGHTS, PENALTY, weights_path
from bonexray.networks.heads import LINEAR, STANDARDIZE
from bonexray.networks.trainable import HEAD, backbone_of, build_trainable, head_of
from bonexray.registry import FINE_TUNE, FROZEN, FULL, SCRATCH, model_row
from bonexray.runtime import distribution
from bonexray.train.batches import Batches
from bonexray.train.candidates import candidates_of, choice_of
from bonexray.train.cohort import Cohort
from bonexray.train.fit import EpochListener, Phase, balanced_weights, fit
from bonexray.train.linear import arrays_of, fit_linear
from bonexray.train.objective import MONITOR
from bonexray.train.regression import choice_among, metrics_of

NETWORK = "network"


def model_card(name: str, cohort: Cohort) -> dict[str, object]:
    """Describe a model and, by hash, its training data: enough to identify its training and to rebuild it.

    Returns:
        model, mode, classes, leak_suspect, img_px, definition (its rows in the table of models, in words), starts_from,
        backbones (name to SHA-256 of the weights), manifest_sha256, inputs_sha256,
        conventions (only of backbones whose weights file states another than the table of models),
        the settings (train; augment where images are learnt from; fine_tune where it is), fingerprint (the hash of
        all of these), runs (repeat and fold of each training).
    """
    mode, tuned = cohort.row.mode, cohort.row.fine_tune
    card = {
        "model": name,
        "mode": mode,
        "classes": cohort.classes,
        "leak_suspect": read_leak_suspect(),
        "img_px": image_side(cohort),
        "definition": cohort.definition,
        "starts_from": cohort.starts_from,
        "backbones": {backbone: _weights_hash(backbone, cohort) for backbone in model_row(name).backbones},
        "manifest_sha256": sha256_of(MANIFEST),
        "inputs_sha256": {str(file): sha256_of(file) for file in cohort.files},
        "train": cohort.train.model_dump(exclude={"repeats"}),
    }
    if conventions := cohort.conventions:
        card["conventions"] = conventions
    if cohort.learns_from_images:
        card["augment"] = cohort.augment.model_dump()
    if mode == FINE_TUNE and tuned is not None:
        card["fine_tune"] = tuned.model_dump()
    runs = [asdict(run) for run in runs_of(cohort.manifest, cohort.train.repeats)]
    return {**card, "fingerprint": digest(card), "runs": runs}


def cost(network: keras.Model, cohort: Cohort, weights: Path) -> dict[str, float]:
    """Return the size and computing cost of a model, including its frozen backbones.

    Args:
        network: the trained network.
        cohort: its training data.
        weights: the file of its weights.

    Returns:
        parameters; multiply_adds for one image; file_mb, all weights in millions of bytes.
    """
    frozen = [] if cohort.learns_from_images else [read_features_card(folder) for folder in cohort.row.features]
    size = weights.stat().st_size + sum(card["weights_bytes"] for card in frozen)
    return {
        "parameters": network.count_params() + sum(card["parameters"] for card in frozen),
        "multiply_adds": multiply_adds(network) + sum(card["multiply_adds"] for card in frozen),
        "file_mb": round(size / 1e6, 3),
    }


def image_side(cohort: Cohort) -> int:
    """Return the side in pixels of the images that a cohort's model sees."""
    if cohort.learns_from_images:
        return ArrayFile(IMAGES).shape[1]
    return read_features_card(cohort.row.features[0])["img_px"]


class Trained(NamedTuple):
    """A training that has ended.

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
    """Train a head on cached features, with what is chosen on validation by the same procedure for every network."""
    head = head_of(name, len(cohort.classes), cohort.train)
    adapt(head, cohort.features("train"))
    solve = _solve_head if (model_row(name).head or cohort.train.head) == LINEAR else _descend_head
    history, choice = solve(head, cohort, checkpoint)
    for row in history.to_dict("records"):
        on_epoch(row["epoch"], {key: value for key, value in row.items() if key not in ("epoch", "phase")})
    return history, choice


def _descend_head(head: keras.Model, cohort: Cohort, checkpoint: Path) -> tuple[pd.DataFrame, dict]:
    """Train a head once with every candidate, from the same weights and in the same order of images, and keep the best."""
    start = [keras.ops.convert_to_numpy(variable) for variable in head.variables]  # with the state of dropout
    candidates, histories = candidates_of(cohort.train), []
    files = [checkpoint.with_name(f"candidate-{number}.weights.h5") for number in range(len(candidates))]
    for settings, file in zip(candidates, files, strict=True):
        for variable, value in zip(head.variables, start, strict=True):
            variable.assign(value)
        phase = Phase(HEAD, settings.epochs, settings.learning_rate)
        train, val = cohort.features("train", learning=True), cohort.features("val")
        histories.append(fit(head, train, val, class_weight(cohort), settings, phase, file, lambda *_: None))
    losses = [float(history[MONITOR].min()) for history in histories]
    kept = losses.index(min(losses))
    files[kept].replace(checkpoint)
    for file in files:
        file.unlink(missing_ok=True)
    varied = [settings.model_dump(include={"learning_rate", "weight_decay"}) for settings in candidates]
    return histories[kept], choice_of(varied, losses)


def _solve_head(head: keras.Model, cohort: Cohort, checkpoint: Path) -> tuple[pd.DataFrame, dict]:
    """Fit a linear head; its history has a row for each penalty, from weak to strong, instead of each epoch."""
    train, val = cohort.features("train"), cohort.features("val")
    fits = fit_linear(head, train, val, class_weight(cohort))
    head.save_weights(checkpoint)
    known, held_out = arrays_of(head, train), arrays_of(head, val)
    rows = [
        {"epoch": number, "phase": PENALTY, **metrics_of(fit, known, held_out)} for number, fit in enumerate(fits, 1)
    ]
    return pd.DataFrame(rows), choice_among(fits)


def _train_network(name: str, cohort: Cohort, checkpoint: Path, on_epoch: EpochListener) -> tuple[pd.DataFrame, dict]:
    """Train every layer on images, from random weights or from the backbones' starting weights."""
    network = _build(name, cohort)
    _start_backbones(network, name)
    phase = Phase(NETWORK, cohort.train.epochs, cohort.train.learning_rate)
    train, val = cohort.images("train", learning=True), cohort.images("val")
    return fit(network, train, val, class_weight(cohort), cohort.train, phase, checkpoint, on_epoch), {}


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
    network_history = fit(network, train, val, class_weight(cohort), cohort.train, phase, checkpoint, on_epoch)
    return pd.concat([head_history, network_history], ignore_index=True), choice


TRAININGS = {FROZEN: _train_head, SCRATCH: _train_network, FULL: _train_network, FINE_TUNE: _fine_tune}


def class_weight(cohort: Cohort) -> dict[int, float] | None:
    """Return the class weights of the training split, or None if the settings disable them."""
    return balanced_weights(cohort.labels[cohort.rows("train")]) if cohort.train.class_weights == "balanced" else None


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


def _weights_hash(backbone: str, cohort: Cohort) -> str:
    if cohort.learns_from_images:
        return sha256_of(weights_path(backbone))
    return next(
        card["weights_sha256"] for card in map(read_features_card, cohort.row.features) if card["backbone"] == backbone
    )
