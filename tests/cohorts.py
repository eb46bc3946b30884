"""A tiny cohort as the earlier stages leave it below the working directory, and the settings that tests train with."""

from pathlib import Path

import keras
import numpy as np
import pandas as pd

from bonexray.augment.settings import Augment
from bonexray.backbones.cost import multiply_adds
from bonexray.backbones.encoder import build_encoder
from bonexray.backbones.weights import load_starting_weights
from bonexray.base.files import write_json
from bonexray.base.hashing import sha256_of
from bonexray.data.arrays import ArrayFile
from bonexray.data.features_card import write_features_card
from bonexray.data.manifest import write_manifest
from bonexray.data.paths import FEATURES, FEATURES_CARD, IMAGES, MANIFEST, VIEWS, features_folder, weights_path
from bonexray.derived_params import describe_backbone
from bonexray.features.extraction import extract_features
from bonexray.features.settings import Weights
from bonexray.features.starting_weights import starting_backbone
from bonexray.registry import BACKBONES, FINE_TUNE, model_row, variant_of
from bonexray.train.cohort import Cohort, open_cohort
from bonexray.train.settings import FineTune, ModelRow, Train
from bonexray.train.training import train_model

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
    """The settings with some of them changed."""
    return SETTINGS.model_copy(update=changes)


def row_of(name: str, mode: str, **tuning: object) -> ModelRow:
    """Return the row of a model of the study in a mode.

    Args:
        name: a key of `REGISTRY`.
        mode: one of its modes.
        tuning: changes of the settings of fine-tuning.
    """
    model = model_row(name)
    inputs = [features_folder(backbone).as_posix() for backbone in model.backbones]
    fine_tune = TUNING.model_copy(update=tuning) if mode == FINE_TUNE else None
    return ModelRow(
        mode=mode,
        inputs=inputs or [f"src/bonexray/builders/{variant_of(name)[0]}.py"],
        head=model.head,
        output=model.output,
        heat_map=model.heat_map,
        fine_tune=fine_tune,
    )


def cohort_of(name: str, mode: str, settings: Train = SETTINGS, augment: Augment = AUGMENT, **tuning: object) -> Cohort:
    """The cohort below the working directory as a model in a mode learns from it."""
    return open_cohort(row_of(name, mode, **tuning), settings, augment)


def lay_out_images(px: int, count: int = 30, classes: list[str] = CLASSES) -> None:
    """Prepared images whose brightness tells their class, and a manifest with half of them for training."""
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
    """Features that tell the classes of the images laid out before, as faint as those of a random backbone."""
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
        "row": describe_backbone(backbone, row),
        "starts_from": "random",
        "weights_sha256": "0" * 64,
        "weights_bytes": 1000,
        "img_px": images.shape[1],
        "copies": copies,
        "parameters": 500,
        "multiply_adds": 2000,
    }
    write_json(folder / FEATURES_CARD, card)


def lay_out_backbone(backbone: str) -> None:
    """A backbone's random starting weights, and its true features of the images laid out before."""
    starting_backbone(backbone, RANDOM).save_weights(folder_of(weights_path(backbone)))
    images, target = ArrayFile(IMAGES), features_folder(backbone)
    encoder = build_encoder(backbone, images.shape[1])
    load_starting_weights(encoder.get_layer(backbone), backbone)
    extract_features(encoder, images, folder_of(target / FEATURES), 8)
    weights = weights_path(backbone)
    card = {
        "backbone": backbone,
        "row": describe_backbone(backbone, BACKBONES[backbone]),
        "starts_from": "random",
        "weights_sha256": sha256_of(weights),
        "weights_bytes": weights.stat().st_size,
        "img_px": images.shape[1],
        "copies": 0,
        "parameters": encoder.count_params(),
        "multiply_adds": multiply_adds(encoder),
    }
    write_features_card(target, card)


def folder_of(file: Path) -> Path:
    """The file, with its folder made."""
    file.parent.mkdir(parents=True, exist_ok=True)
    return file


def trained(
    name: str, mode: str, folder: Path, settings: Train = SETTINGS, augment: Augment = AUGMENT, **tuning: object
) -> tuple[keras.Model, pd.DataFrame, Cohort]:
    """A model trained as its stage does it, with what is written left in a new folder."""
    folder.mkdir()
    keras.utils.set_random_seed(settings.seed)
    cohort = cohort_of(name, mode, settings, augment, **tuning)
    training = train_model(name, cohort, folder, silent)
    return training.network, training.history, cohort


def silent(_number: int, _metrics: dict[str, float]) -> None:
    """An epoch's listener that does nothing."""


def numbers(tensor: object) -> np.ndarray:
    """A tensor or a variable as an array of its own."""
    return keras.ops.convert_to_numpy(tensor).copy()
