"""Extraction of features by a frozen backbone, once for all images."""

import logging
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np

from bonexray.augment.settings import Augment
from bonexray.augment.views import COPY, random_views
from bonexray.base.errors import BonexrayError
from bonexray.data.arrays import ArrayFile, rows_of
from bonexray.progress import progress

LARGEST_FEATURE = 1e4  # weights with the inputs of their training give features of 1 to 100
log = logging.getLogger("bonexray")


def extract_features(encoder: keras.Model, images: ArrayFile, target: Path, batch_images: int) -> None:
    """Write the features of all images to a file, batch by batch.

    Args:
        encoder: image (batch, px, px, 1) to features (batch, width).
        images: float32 (images, px, px) in [0, 1].
        target: the .npy file to write, float32 (images, width).
        batch_images: number of images in one forward pass.

    Raises:
        BonexrayError: a feature is not a finite number.
    """
    starts = range(0, len(images), batch_images)
    batches = (images[start : start + batch_images] for start in progress(starts, encoder.name, len(starts)))
    _encode(encoder, batches, len(images), target, batch_images)


def extract_views(
    encoder: keras.Model,
    images: ArrayFile,
    rows: np.ndarray,
    settings: Augment,
    copies: int,
    target: Path,
    batch_images: int,
) -> None:
    """Write the features of several random views of each training image to a file.

    Args:
        encoder: image (batch, px, px, 1) to features (batch, width).
        images: float32 (images, px, px) in [0, 1].
        rows: int (training images,), rows of the images that are used for training, in some fold.
        settings: ranges of the random changes.
        copies: number of views of each image.
        target: the .npy file to write, float32 (copies x training images, width), copy by copy.
        batch_images: number of images in one forward pass.

    Raises:
        BonexrayError: a feature is not a finite number.
    """
    row_batches = [rows[start : start + batch_images] for start in range(0, len(rows), batch_images)]
    jobs = [(copy, batch) for copy in range(copies) for batch in row_batches]
    jobs_with_progress = progress(jobs, f"{encoder.name}, augmented", len(jobs))
    batches = (random_views(images[batch], settings, COPY, copy, batch) for copy, batch in jobs_with_progress)
    _encode(encoder, batches, copies * len(rows), target, batch_images)


def _encode(encoder: keras.Model, batches: Iterator[np.ndarray], count: int, target: Path, batch_images: int) -> None:
    done, largest = 0, 0.0
    with rows_of(target, (count, encoder.output_shape[-1])) as append:
        for batch in batches:
            # Batches of one shape: TensorFlow compiles the network only once.
            padding = np.zeros((batch_images - len(batch), *batch.shape[1:]), batch.dtype)
            features = encoder.predict_on_batch(np.concatenate([batch, padding])[..., None])[: len(batch)]
            if not np.isfinite(features).all():
                raise BonexrayError(
                    encoder.name,
                    expected="finite features",
                    received=f"other values from image {done} on",
                    do="use other weights for this backbone",
                )
            append(features)
            done, largest = done + len(batch), max(largest, float(np.abs(features).max()))
    if largest > LARGEST_FEATURE:
        log.warning(
            "%s: features are out of range, up to %.2g; do its weights expect images in another convention?",
            encoder.name,
            largest,
        )
