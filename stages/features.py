"""Write the starting weights of a backbone and its features of every prepared image, for all models that use it."""

import numpy as np

from bonexray.augment.settings import Augment
from bonexray.backbones.cost import multiply_adds
from bonexray.backbones.encoder import encoder_around
from bonexray.backbones.weights import resized
from bonexray.base.config import StageSettings
from bonexray.base.files import atomic_file, atomic_folder
from bonexray.base.hashing import sha256_of
from bonexray.data.arrays import ArrayFile
from bonexray.data.features_card import write_features_card
from bonexray.data.folds import learners
from bonexray.data.manifest import read_manifest
from bonexray.data.paths import FEATURES, IMAGES, VIEWS, features_folder, weights_path
from bonexray.features.extraction import extract_features, extract_views
from bonexray.features.published import origin, own_convention
from bonexray.features.settings import BackboneRow, Features, Weights
from bonexray.features.starting_weights import starting_backbone
from bonexray.runtime import prepare_runtime
from bonexray.stage import run_stage


class Settings(StageSettings):
    """The sections of params.yaml that the stage reads."""

    weights: Weights
    features: Features
    augment: Augment
    backbones: dict[str, BackboneRow]


def main(settings: Settings, backbone: str) -> None:
    """Write weights/<backbone>.weights.h5 and, in data/features/<backbone>, features.npy, features.json and views.npy.

    Args:
        settings: of the stage; views.npy is written only if `features.copies` is not 0.
        backbone: a key of `BACKBONES`.
    """
    row = settings.backbones[backbone].row
    prepare_runtime(seed=0, deterministic=True)
    images, batch, copies = ArrayFile(IMAGES), settings.features.batch_images, settings.features.copies
    network = starting_backbone(backbone, settings.weights, images.shape[1])
    with atomic_file(weights_path(backbone)) as partial:
        network.save_weights(partial)
    convention = own_convention(backbone, settings.weights)
    encoder = encoder_around(resized(network, backbone, images.shape[1]), backbone, convention)
    with atomic_folder(features_folder(backbone)) as folder:
        extract_features(encoder, images, folder / FEATURES, batch)
        if copies:
            rows = np.flatnonzero(learners(read_manifest()))
            extract_views(encoder, images, rows, settings.augment, copies, folder / VIEWS, batch)
        weights = weights_path(backbone)
        card = {
            "backbone": backbone,
            "row": row,
            "starts_from": origin(backbone, settings.weights),
            "weights_sha256": sha256_of(weights),
            "weights_bytes": weights.stat().st_size,
            "img_px": encoder.input_shape[1],
            "copies": copies,
            "parameters": encoder.count_params(),
            "multiply_adds": multiply_adds(encoder),
        }
        write_features_card(folder, card | ({"convention": convention} if convention else {}))


if __name__ == "__main__":
    run_stage(main, Settings)
