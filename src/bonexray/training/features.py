"""What a frozen backbone sees, computed once for all images."""

from pathlib import Path

import keras
import numpy as np

from bonexray.errors import BonexrayError
from bonexray.outputs import read_json, sha256_of, write_json
from bonexray.progress import progress

FEATURES, CARD = "features.npy", "features.json"


def extract_features(encoder: keras.Model, images: np.ndarray, target: Path, batch_images: int) -> None:
    """Run the images through an encoder, batch by batch, into a memory-mappable array.

    Args:
        encoder: image (batch, px, px, 1) to features (batch, width).
        images: float32 (images, px, px) in [0, 1], usually memory-mapped.
        target: the .npy file to write, float32 (images, width).
        batch_images: images in one forward pass.

    Raises:
        BonexrayError: a feature is not a finite number.
    """
    shape = (len(images), encoder.output_shape[-1])
    features = np.lib.format.open_memmap(target, mode="w+", dtype=np.float32, shape=shape)
    starts = range(0, len(images), batch_images)
    for start in progress(starts, encoder.name, len(starts)):
        batch = np.asarray(images[start : start + batch_images])[..., None]
        filler = np.zeros((batch_images - len(batch), *batch.shape[1:]), batch.dtype)  # one shape: compiled once
        seen = encoder.predict_on_batch(np.concatenate([batch, filler]))
        features[start : start + len(batch)] = seen[: len(batch)]
        if not np.isfinite(seen).all():
            raise BonexrayError(
                encoder.name, expected="finite features", received=f"other values from image {start} on",
                do="use other weights for this backbone",
            )  # fmt: skip
    features.flush()


def write_features_card(folder: Path, backbone: str, weights: Path, img_px: int) -> None:
    """Say beside the features which weights they come from, and the side of the images."""
    write_json(folder / CARD, {"backbone": backbone, "weights_sha256": sha256_of(weights), "img_px": img_px})


def read_features_card(folder: Path) -> dict:
    """What `write_features_card` wrote: backbone, weights_sha256, img_px."""
    return read_json(folder / CARD)
