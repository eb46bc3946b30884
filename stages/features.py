"""Run every prepared image through one frozen backbone, once for all models that use it."""

import numpy as np

from bonexray.config import Settings
from bonexray.data.arrays import IMAGES, ArrayFile
from bonexray.data.folds import learners
from bonexray.data.manifest import read_manifest
from bonexray.models.backbones import build_encoder
from bonexray.models.weights import load_starting_weights, weights_path
from bonexray.outputs import whole_folder
from bonexray.stage import run_stage
from bonexray.training.features import FEATURES, VIEWS, extract_features, extract_views, write_features_card
from bonexray.training.runtime import prepare_runtime


def main(settings: Settings, backbone: str) -> None:
    """Write data/features/<backbone>/: features.npy, with augmented copies views.npy, and the weights' hash."""
    prepare_runtime(seed=0, deterministic=True)
    images, batch, copies = ArrayFile(IMAGES), settings.features.batch_images, settings.augment.copies
    encoder = build_encoder(backbone, images.shape[1])
    load_starting_weights(encoder.get_layer(backbone), backbone)
    with whole_folder(f"data/features/{backbone}") as folder:
        extract_features(encoder, images, folder / FEATURES, batch)
        if copies:
            rows = np.flatnonzero(learners(read_manifest()))
            extract_views(encoder, images, rows, settings.augment, folder / VIEWS, batch)
        write_features_card(folder, encoder, backbone, weights_path(backbone), copies)


if __name__ == "__main__":
    run_stage(main)
