"""Run every prepared image through one frozen backbone, once for all models that use it."""

from bonexray.config import Settings
from bonexray.models.backbones import build_encoder
from bonexray.models.weights import weights_path
from bonexray.outputs import whole_folder
from bonexray.preprocess.prepare import open_prepared
from bonexray.stage import run_stage
from bonexray.training.features import FEATURES, extract_features, write_features_card
from bonexray.training.runtime import prepare_runtime


def main(settings: Settings, backbone: str) -> None:
    """Write data/features/<backbone>/features.npy and the hash of the weights it comes from."""
    prepare_runtime(seed=0, deterministic=True)
    images = open_prepared()
    encoder = build_encoder(backbone, images.shape[1])
    encoder.get_layer(backbone).load_weights(weights_path(backbone))
    with whole_folder(f"data/features/{backbone}") as folder:
        extract_features(encoder, images, folder / FEATURES, settings.features.batch_images)
        write_features_card(folder, backbone, weights_path(backbone), images.shape[1])


if __name__ == "__main__":
    run_stage(main)
