"""A tiny cohort in the working directory as earlier stages write it, and settings for training on it."""

from pathlib import Path

import keras
import numpy as np
import pandas as pd

from bonexray.augment.settings import Augment
from bonexray.backbones.cost import multiply_adds
from bonexray.backbones.encoder import build_encoder
from bonexray.backbones.weights import load_starting_weights
from bonexray.data.arrays import ArrayFile
from bonexray.data.features_card import write_features_card
from bonexray.data.manifest import write_manifest
from bonexray.data.paths import FEATURES, IMAGES, MANIFEST, VIEWS, features_folder, weights_path
from bonexray.features.extraction import extract_features
from bonexray.features.published import origin
from bonexray.features.settings import Weights
from bonexray.features.starting_weights import starting_body
from bonexray.hashing import sha256_of
from bonexray.registry import BACKBONES
from bonexray.train.cohort import Cohort, open_cohort
from bonexray.train.settings import FineTune, ModelRow, Train
from bonexray.train.training import train_model
from bonexray.wiring import derived, in_words

CLASSES = ["osteoporosis", "normal", "osteopenia"]  # not the alphabet's order
SETTINGS = Train(
    head="standard",
    standardize=True,
    output="softmax",
    loss="cross_entropy",
    focal_gamma=2.0,
    label_smoothing=0.0,
    class_weights="balanced",
    epochs=3,
    batch_images=4,
    optimizer="adam",
    learning_rate=0.01,
    schedule="constant",
    warmup_epochs=0,
    lr_factor=0.5,
    lr_patience=6,
    min_lr=0.0,
    dropout=0.2,
    dropout_2=0.2,
    patience=6,
    mixed_precision=False,
    deterministic=True,
    repeats=1,
    seed=7,
)
AUGMENT = Augment(rotation_deg=10.0, shift=0.05, zoom=0.1, shear_deg=2.0, flip=True, seed=7)
TUNING = FineTune(blocks={}, epochs=2, learning_rate=1e-3)
RANDOM = Weights(source="random", mirror=None, files={}, seed=7)


def with_settings(**changes: object) -> Train:
    """Return the settings with changes."""
    return SETTINGS.model_copy(update=changes)


def row_of(name: str, mode: str, **tuning: object) -> ModelRow:
    """Return a model's row as `conf/` composes it.

    Args:
        name: a key of `REGISTRY`.
        mode: one of its modes.
        tuning: changes to the settings of fine-tuning.
    """
    fine_tune = TUNING.model_copy(update=tuning).model_dump()
    choices = {"model": name, "mode": mode, "modes": {}, "fine_tune": fine_tune, "weights": {"files": {}}}
    return ModelRow.model_validate(derived(choices)["models"][name])


def cohort_of(name: str, mode: str, settings: Train = SETTINGS, augment: Augment = AUGMENT, **tuning: object) -> Cohort:
    """Return the cohort in the working directory as a model in a mode learns from it."""
    return open_cohort(row_of(name, mode, **tuning), settings, augment)


def lay_out_images(px: int, count: int = 30, classes: list[str] = CLASSES) -> None:
    """Write prepared images whose brightness depends on the class, and a manifest with half of them for training."""
    rng = np.random.default_rng(7)
    numbers = np.arange(count) % len(classes)
    numbers[-3:] = 0  # classes of unequal size
    rows = pd.DataFrame(
        {
            "id": [f"{i:016x}" for i in range(count)],
            "path": [f"{i}.png" for i in range(count)],
            "label": np.array(classes)[numbers],
            "group": [f"p{i}" for i in range(count)],
            "split": [("train", "val", "train", "test")[i % 4] for i in range(count)],
            "fold": "",
            "sha256": "0",
        }
    )
    write_manifest(rows, classes)
    shade = numbers[:, None, None] / len(classes)
    np.save(folder_of(IMAGES), (shade + rng.random((count, px, px)) / len(classes)).astype(np.float32))


def lay_out_features(backbone: str, copies: int = 0) -> None:
    """Write features that separate the classes of the laid-out images, as small as those of a random backbone."""
    images, row = np.load(IMAGES), BACKBONES[backbone]
    rng, folder = np.random.default_rng(row.features), features_folder(backbone)
    shade = images.mean(axis=(1, 2))[:, None]
    np.save(
        folder_of(folder / FEATURES), ((shade / 20 + rng.random((len(images), row.features))) * 1e-9).astype(np.float32)
    )
    if copies:
        train = np.flatnonzero(pd.read_csv(MANIFEST)["split"] == "train")
        noise = rng.random((copies * len(train), row.features))
        np.save(folder / VIEWS, ((np.tile(shade[train], (copies, 1)) / 20 + noise) * 1e-9).astype(np.float32))
    card = {
        "backbone": backbone,
        "row": in_words(backbone, row),
        "starts_from": "random",
        "weights_sha256": "0" * 64,
        "weights_bytes": 1000,
        "img_px": images.shape[1],
        "copies": copies,
        "parameters": 500,
        "multiply_adds": 2000,
    }
    write_features_card(folder, card)


def lay_out_backbone(backbone: str) -> None:
    """Write random starting weights of a backbone, and its features of the laid-out images."""
    starting_body(backbone, RANDOM).save_weights(folder_of(weights_path(backbone)))
    images, folder = ArrayFile(IMAGES), features_folder(backbone)
    encoder = build_encoder(backbone, images.shape[1])
    load_starting_weights(encoder.get_layer(backbone), backbone)
    extract_features(encoder, images, folder_of(folder / FEATURES), 8)
    card = {
        "backbone": backbone,
        "row": in_words(backbone, BACKBONES[backbone]),
        "starts_from": origin(backbone, RANDOM),
        "weights_sha256": sha256_of(weights_path(backbone)),
        "weights_bytes": weights_path(backbone).stat().st_size,
        "img_px": images.shape[1],
        "copies": 0,
        "parameters": encoder.count_params(),
        "multiply_adds": multiply_adds(encoder),
    }
    write_features_card(folder, card)


def folder_of(file: Path) -> Path:
    """Make the folder of a file; return the file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    return file


def trained(
    name: str, mode: str, folder: Path, settings: Train = SETTINGS, augment: Augment = AUGMENT, **tuning: object
) -> tuple[keras.Model, pd.DataFrame, Cohort]:
    """Train a model as the stage does, in a new folder; return it with its history and cohort."""
    folder.mkdir()
    keras.utils.set_random_seed(settings.seed)
    cohort = cohort_of(name, mode, settings, augment, **tuning)
    return *train_model(name, cohort, folder, silent), cohort


def silent(_number: int, _metrics: dict[str, float]) -> None:
    """Ignore the metrics of an epoch."""


def numbers(tensor: object) -> np.ndarray:
    """Return a tensor or variable as a new array."""
    return keras.ops.convert_to_numpy(tensor).copy()
