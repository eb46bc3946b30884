"""Measure how much cached features speed up the training of a head: `python benchmarks/frozen.py`.

The same head is trained twice, with the same images, seed and epochs: on features that are computed once, and behind
the frozen backbone, which then runs in every epoch. Both heads must give the same probabilities.
"""

import argparse
import tempfile
import time
from pathlib import Path

import keras
import numpy as np

from bonexray.backbones.encoder import build_encoder
from bonexray.data.arrays import ArrayFile, rows_of
from bonexray.data.paths import FEATURES
from bonexray.features.extraction import extract_features
from bonexray.networks.heads import build_head
from bonexray.registry import BACKBONES
from bonexray.runtime import prepare_runtime
from bonexray.study import load_settings
from bonexray.train.batches import Batches, Reader, stored
from bonexray.train.batches import images as image_reader
from bonexray.train.fit import Phase, fit
from bonexray.train.settings import Train
from bonexray.train.training import HEAD, adapt

CLASSES, SEED, ROOT = 3, 7, Path(__file__).parents[1]


def main() -> None:
    """Compare both ways of training for each backbone."""
    options = arguments()
    prepare_runtime(SEED, deterministic=False)
    settings = load_settings(ROOT / "params.yaml").train.model_copy(
        update={"epochs": options.epochs, "patience": options.epochs}
    )
    for name in options.networks:
        with tempfile.TemporaryDirectory() as folder:
            compare(name, options.images, options.px, settings, Path(folder))


def arguments() -> argparse.Namespace:
    """Return the arguments of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", default=["mobilenet_v2", "resnet50"], help="backbones")
    parser.add_argument("--images", type=int, default=480, help="three quarters train, one quarter validates")
    parser.add_argument("--px", type=int, default=128, help="side of an image")
    parser.add_argument("--epochs", type=int, default=25)
    return parser.parse_args()


def compare(name: str, count: int, px: int, settings: Train, folder: Path) -> None:
    """Train a head in both ways and print the times, their ratio and the difference of the probabilities."""
    targets = np.eye(CLASSES, dtype=np.float32)[np.arange(count) % CLASSES]
    images = simulated(count, px, folder / "images.npy")
    keras.utils.set_random_seed(SEED)
    encoder = build_encoder(name, px)

    started = time.perf_counter()
    extract_features(encoder, images, folder / FEATURES, settings.batch_images)
    features = ArrayFile(folder / FEATURES)
    head = new_head(name, settings)
    train, val = batches(stored(features), targets, settings)
    adapt(head, train)
    statistics = head.get_weights()
    fit(head, train, val, None, settings, phase(settings), folder / "cached.weights.h5", silent)
    cached = time.perf_counter() - started

    other = new_head(name, settings)
    other.set_weights(statistics)
    network = keras.Model(encoder.input, other(encoder.output))
    train, val = batches(image_reader(images), targets, settings)
    started = time.perf_counter()
    fit(network, train, val, None, settings, phase(settings), folder / "forward.weights.h5", silent)
    forward = time.perf_counter() - started

    inputs = features[:]
    difference = np.abs(head.predict(inputs, verbose=0) - other.predict(inputs, verbose=0)).max()
    print(f"{name}: {count} images of {px} px, {settings.epochs} epochs")
    print(f"  backbone forward in every epoch: {forward:.1f} s")
    print(f"  features computed once:          {cached:.1f} s")
    print(f"  ratio: {forward / cached:.1f}")
    print(f"  largest difference of the two heads' probabilities: {difference:.1e}", flush=True)


def simulated(count: int, px: int, path: Path) -> ArrayFile:
    """Write noise images, of another brightness for each class, and return them."""
    rng = np.random.default_rng(SEED)
    with rows_of(path, (count, px, px)) as append:
        for number in range(count):
            append((0.2 * (number % CLASSES) + 0.6 * rng.random((px, px))).astype(np.float32))
    return ArrayFile(path)


def new_head(name: str, settings: Train) -> keras.Model:
    """Build a head, with the same initial weights and dropout at every call."""
    keras.utils.set_random_seed(SEED)
    return build_head({name: BACKBONES[name].features}, CLASSES, settings)


def batches(reader: Reader, targets: np.ndarray, settings: Train) -> tuple[Batches, Batches]:
    """Return training and validation batches, in the same order at every call."""
    rows = np.arange(len(targets))
    train, val = rows[: len(rows) * 3 // 4], rows[len(rows) * 3 // 4 :]
    return (
        Batches([reader], targets, train, settings.batch_images, SEED),
        Batches([reader], targets, val, settings.batch_images),
    )


def phase(settings: Train) -> Phase:
    """Return a phase of all epochs at the learning rate of the settings."""
    return Phase(HEAD, settings.epochs, settings.learning_rate)


def silent(_number: int, _metrics: dict[str, float]) -> None:
    """Ignore an epoch's metrics."""


if __name__ == "__main__":
    main()
