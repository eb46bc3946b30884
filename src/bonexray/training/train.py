"""One model's training from the files of earlier stages, and the card that says what it was made of."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from bonexray.config import Model, Train
from bonexray.data.manifest import MANIFEST, class_numbers, read_classes, read_manifest
from bonexray.models.heads import STANDARDIZE, build_trainable
from bonexray.models.registry import model_row
from bonexray.outputs import digest, sha256_of
from bonexray.preprocess.prepare import IMAGES
from bonexray.training.batches import Batches
from bonexray.training.features import FEATURES, read_features_card
from bonexray.training.fit import EpochListener, balanced_weights, fit


@dataclass(frozen=True)
class Cohort:
    """What a model learns from: the inputs, memory-mapped, with labels and splits in the manifest's order."""

    manifest: pd.DataFrame
    classes: list[str]
    inputs: list[np.ndarray]
    files: list[Path]
    img_px: int

    @property
    def labels(self) -> np.ndarray:
        """int (images,), places in the class map."""
        return class_numbers(self.manifest["label"], self.classes)

    def batches(self, split: str | None, batch_images: int, shuffle_seed: int | None = None) -> Batches:
        """Batches of one split, or of every image in order."""
        rows = np.arange(len(self.manifest)) if split is None else np.flatnonzero(self.manifest["split"] == split)
        return Batches(self.inputs, self.labels, rows, batch_images, shuffle_seed)


def open_cohort(model: Model) -> Cohort:
    """Open the features or the prepared images that a model is trained on."""
    files = [Path(folder, IMAGES.name if folder == str(IMAGES.parent) else FEATURES) for folder in model.inputs]
    inputs = [np.load(file, mmap_mode="r") for file in files]
    inputs = [array[..., None] if array.ndim == 3 else array for array in inputs]
    from_images = inputs[0].ndim == 4
    img_px = inputs[0].shape[1] if from_images else read_features_card(files[0].parent)["img_px"]
    return Cohort(read_manifest(), read_classes(), inputs, files, img_px)


def model_card(name: str, cohort: Cohort, settings: Train) -> dict[str, object]:
    """What a model is and what it was trained on, by hash: enough to name its training and to rebuild it.

    Returns:
        model, trained (head or network), classes, img_px, backbones (name to SHA-256 of the weights),
        manifest_sha256, inputs_sha256, train (the settings), fingerprint (the hash of all of these).
    """
    row = model_row(name)
    card = {
        "model": name,
        "trained": "head" if row.backbones else "network",
        "classes": cohort.classes,
        "img_px": cohort.img_px,
        "backbones": {
            b: read_features_card(file.parent)["weights_sha256"]
            for b, file in zip(row.backbones, cohort.files, strict=False)
        },
        "manifest_sha256": sha256_of(MANIFEST),
        "inputs_sha256": {str(file): sha256_of(file) for file in cohort.files},
        "train": settings.model_dump(),
    }
    return {**card, "fingerprint": digest(card)}


def train_model(
    card: Mapping[str, object], cohort: Cohort, settings: Train, folder: Path, on_epoch: EpochListener
) -> tuple[keras.Model, pd.DataFrame]:
    """Fit a model and read back what was kept.

    Args:
        card: of the model.
        cohort: what it learns from.
        settings: how.
        folder: gets model.weights.h5, the weights of the epoch with the lowest validation loss.
        on_epoch: told each epoch's metrics.

    Returns:
        The network with the weights read from the file, and the history, one row an epoch.
    """

    def build() -> keras.Model:
        return build_trainable(str(card["model"]), cohort.img_px, len(cohort.classes), settings)

    train = cohort.batches("train", settings.batch_images, shuffle_seed=settings.seed)
    val = cohort.batches("val", settings.batch_images)
    labels = cohort.labels[np.flatnonzero(cohort.manifest["split"] == "train")]
    weight = balanced_weights(labels) if settings.class_weights == "balanced" else None
    checkpoint, kept = folder / "checkpoint.weights.h5", folder / "model.weights.h5"
    network = build()
    adapt(network, train)
    history = fit(network, train, val, weight, settings, checkpoint, on_epoch)
    best = build()
    best.load_weights(checkpoint)
    best.save_weights(kept)  # without the optimiser's state, which the checkpoint carries
    checkpoint.unlink()
    best.load_weights(kept)
    return best, history


def adapt(network: keras.Model, train: Batches) -> None:
    """Give a head that standardises its features the statistics of the training split."""
    if STANDARDIZE not in {layer.name for layer in network.layers}:
        return
    inputs = (train[number][0] for number in range(len(train)))
    network.get_layer(STANDARDIZE).adapt(
        np.concatenate(batch, axis=1) if isinstance(batch, tuple) else batch for batch in inputs
    )
