"""One model's training from the files of earlier stages, and the card that says what it was made of."""

from dataclasses import asdict
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from bonexray.backbones.cost import multiply_adds
from bonexray.backbones.weights import load_starting_weights
from bonexray.data.arrays import ArrayFile
from bonexray.data.features_card import read_features_card
from bonexray.data.folds import runs_of
from bonexray.data.manifest import read_leak_suspect
from bonexray.data.paths import IMAGES, MANIFEST, MODEL_WEIGHTS, weights_path
from bonexray.hashing import digest, sha256_of
from bonexray.networks.heads import STANDARDIZE
from bonexray.networks.trainable import HEAD, backbone_of, build_trainable, head_of
from bonexray.registry import FINE_TUNE, FROZEN, FULL, SCRATCH, model_row
from bonexray.runtime import distribution
from bonexray.train.batches import Batches
from bonexray.train.cohort import Cohort
from bonexray.train.fit import EpochListener, Phase, balanced_weights, fit

NETWORK = "network"


def model_card(name: str, cohort: Cohort) -> dict[str, object]:
    """What a model is and what it was trained on, by hash: enough to name its training and to rebuild it.

    Returns:
        model, mode, classes, leak_suspect, img_px, definition (its rows in the table of models, in words), starts_from,
        backbones (name to SHA-256 of the weights), manifest_sha256, inputs_sha256,
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
    if cohort.learns_from_images:
        card["augment"] = cohort.augment.model_dump()
    if mode == FINE_TUNE and tuned is not None:
        card["fine_tune"] = tuned.model_dump()
    runs = [asdict(run) for run in runs_of(cohort.manifest, cohort.train.repeats)]
    return {**card, "fingerprint": digest(card), "runs": runs}


def cost(network: keras.Model, cohort: Cohort, weights: Path) -> dict[str, float]:
    """What a model costs as it would be used, its frozen backbones included.

    Args:
        network: what was trained.
        cohort: what it was trained on.
        weights: the file of what was trained.

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
    """Side in pixels of the images that a cohort's model sees."""
    if cohort.learns_from_images:
        return ArrayFile(IMAGES).shape[1]
    return read_features_card(cohort.row.features[0])["img_px"]


def train_model(name: str, cohort: Cohort, folder: Path, on_epoch: EpochListener) -> tuple[keras.Model, pd.DataFrame]:
    """Fit a model and read back what was kept.

    Args:
        name: a key of `REGISTRY`.
        cohort: what it learns from, and how.
        folder: gets model.weights.h5, the weights of the epoch with the lowest validation loss.
        on_epoch: told each epoch's metrics.

    Returns:
        The network with the weights read from the file, and the history, one row an epoch.
    """
    checkpoint, kept = folder / "checkpoint.weights.h5", folder / MODEL_WEIGHTS
    with distribution():
        history = TRAININGS[cohort.row.mode](name, cohort, checkpoint, on_epoch)
    best = _build(name, cohort)  # outside: a network of several devices answers once a device
    best.load_weights(checkpoint)
    best.save_weights(kept)  # without the optimiser's state, which the checkpoint carries
    checkpoint.unlink()
    best.load_weights(kept)
    return best, history


def _train_head(name: str, cohort: Cohort, checkpoint: Path, on_epoch: EpochListener) -> pd.DataFrame:
    """A head on cached features."""
    head = head_of(name, len(cohort.classes), cohort.train)
    adapt(head, cohort.features("train"))
    phase = Phase(HEAD, cohort.train.epochs, cohort.train.learning_rate)
    train, val = cohort.features("train", learning=True), cohort.features("val")
    return fit(head, train, val, class_weight(cohort), cohort.train, phase, checkpoint, on_epoch)


def _train_network(name: str, cohort: Cohort, checkpoint: Path, on_epoch: EpochListener) -> pd.DataFrame:
    """Every layer, from images, from scratch or from the backbones' starting weights."""
    network = _build(name, cohort)
    _start_backbones(network, name)
    phase = Phase(NETWORK, cohort.train.epochs, cohort.train.learning_rate)
    train, val = cohort.images("train", learning=True), cohort.images("val")
    return fit(network, train, val, class_weight(cohort), cohort.train, phase, checkpoint, on_epoch)


def _fine_tune(name: str, cohort: Cohort, checkpoint: Path, on_epoch: EpochListener) -> pd.DataFrame:
    """A head on cached features until it has settled, then the upper blocks with it, at their own learning rate.

    What the first phase found is kept where the second finds nothing better.
    """
    settled = _train_head(name, cohort, checkpoint, on_epoch)
    head = head_of(name, len(cohort.classes), cohort.train)
    head.load_weights(checkpoint)
    network = _build(name, cohort)
    _start_backbones(network, name)
    network.get_layer(HEAD).set_weights(head.get_weights())
    checkpoint.unlink()
    network.save_weights(checkpoint)
    options = cohort.row.fine_tune
    phase = Phase(NETWORK, options.epochs, options.learning_rate, len(settled), float(settled["val_loss"].min()))
    train, val = cohort.images("train", learning=True), cohort.images("val")
    tuned = fit(network, train, val, class_weight(cohort), cohort.train, phase, checkpoint, on_epoch)
    return pd.concat([settled, tuned], ignore_index=True)


TRAININGS = {FROZEN: _train_head, SCRATCH: _train_network, FULL: _train_network, FINE_TUNE: _fine_tune}


def class_weight(cohort: Cohort) -> dict[int, float] | None:
    """Weights of the classes in the loss, by the training split, where they are asked for."""
    return balanced_weights(cohort.labels[cohort.rows("train")]) if cohort.train.class_weights == "balanced" else None


def adapt(head: keras.Model, train: Batches) -> None:
    """Give a head that standardises its features the statistics of the training split."""
    if STANDARDIZE not in {layer.name for layer in head.layers}:
        return
    inputs = (train[number][0] for number in range(len(train)))
    head.get_layer(STANDARDIZE).adapt(
        np.concatenate(batch, axis=1) if isinstance(batch, tuple) else batch for batch in inputs
    )


def _build(name: str, cohort: Cohort) -> keras.Model:
    blocks = cohort.row.fine_tune.blocks if cohort.row.fine_tune else None
    return build_trainable(name, cohort.row.mode, image_side(cohort), len(cohort.classes), cohort.train, blocks)


def _start_backbones(network: keras.Model, name: str) -> None:
    for backbone in model_row(name).backbones:
        load_starting_weights(backbone_of(network, backbone), backbone)


def _weights_hash(backbone: str, cohort: Cohort) -> str:
    if cohort.learns_from_images:
        return sha256_of(weights_path(backbone))
    return next(
        card["weights_sha256"] for card in map(read_features_card, cohort.row.features) if card["backbone"] == backbone
    )
