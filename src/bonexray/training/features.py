"""What a frozen backbone sees, computed once for all images."""

from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np

from bonexray.config import Augment
from bonexray.data.arrays import ArrayFile, rows_of
from bonexray.errors import BonexrayError
from bonexray.models.cost import multiply_adds
from bonexray.outputs import read_json, sha256_of, write_json
from bonexray.progress import progress
from bonexray.training.augment import COPY, random_views

FEATURES, VIEWS, CARD = "features.npy", "views.npy", "features.json"


def extract_features(encoder: keras.Model, images: ArrayFile, target: Path, batch_images: int) -> None:
    """Run the images through an encoder, batch by batch, into an array in a file.

    Args:
        encoder: image (batch, px, px, 1) to features (batch, width).
        images: float32 (images, px, px) in [0, 1].
        target: the .npy file to write, float32 (images, width).
        batch_images: images in one forward pass.

    Raises:
        BonexrayError: a feature is not a finite number.
    """
    starts = range(0, len(images), batch_images)
    batches = (images[start : start + batch_images] for start in progress(starts, encoder.name, len(starts)))
    _encode(encoder, batches, len(images), target, batch_images)


def extract_views(
    encoder: keras.Model, images: ArrayFile, rows: np.ndarray, settings: Augment, target: Path, batch_images: int
) -> None:
    """Run `settings.copies` random views of the training images through an encoder.

    Args:
        encoder: image (batch, px, px, 1) to features (batch, width).
        images: float32 (images, px, px) in [0, 1].
        rows: int (training images,), which of them some training learns from.
        settings: ranges and copies.
        target: the .npy file to write, float32 (copies x training images, width), copy by copy.
        batch_images: images in one forward pass.

    Raises:
        BonexrayError: a feature is not a finite number.
    """
    parts = [rows[start : start + batch_images] for start in range(0, len(rows), batch_images)]
    jobs = [(copy, part) for copy in range(settings.copies) for part in parts]
    shown = progress(jobs, f"{encoder.name}, augmented", len(jobs))
    batches = (random_views(images[part], settings, COPY, copy, part) for copy, part in shown)
    _encode(encoder, batches, settings.copies * len(rows), target, batch_images)


def _encode(encoder: keras.Model, batches: Iterator[np.ndarray], count: int, target: Path, batch_images: int) -> None:
    done = 0
    with rows_of(target, (count, encoder.output_shape[-1])) as append:
        for batch in batches:
            filler = np.zeros((batch_images - len(batch), *batch.shape[1:]), batch.dtype)  # one shape: compiled once
            seen = encoder.predict_on_batch(np.concatenate([batch, filler])[..., None])[: len(batch)]
            if not np.isfinite(seen).all():
                raise BonexrayError(
                    encoder.name,
                    expected="finite features",
                    received=f"other values from image {done} on",
                    do="use other weights for this backbone",
                )
            append(seen)
            done += len(batch)


def write_features_card(folder: Path, encoder: keras.Model, backbone: str, weights: Path, copies: int) -> None:
    """Say beside the features which weights they come from, what they cost, and how many augmented copies there are."""
    write_json(
        folder / CARD,
        {
            "backbone": backbone,
            "weights_sha256": sha256_of(weights),
            "weights_bytes": weights.stat().st_size,
            "img_px": encoder.input_shape[1],
            "copies": copies,
            "parameters": encoder.count_params(),
            "multiply_adds": multiply_adds(encoder),
        },
    )


def read_features_card(folder: Path) -> dict:
    """What `write_features_card` wrote."""
    return read_json(folder / CARD)
