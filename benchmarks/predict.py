"""Measure prediction from files against the network alone: `python benchmarks/predict.py`.

The network has random weights, which are as fast as trained ones. The forward pass alone runs on prepared images in memory
at several batch sizes; the fastest counts.
"""

import argparse
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from bonexray.images.reading import write_png16
from bonexray.networks.trained import empty_network
from bonexray.runtime import prepare_runtime
from bonexray.serving.bundle import Bundle, BundleCard
from bonexray.serving.predictor import Predictor
from bonexray.study import load_settings

ROOT, CLASSES = Path(__file__).parents[1], ["normal", "osteopenia", "osteoporosis"]
BATCHES, WARM_UP, SINGLE, SEED = (8, 16, 32, 64, 128), 128, 50, 7


def main() -> None:
    """Print throughput, latency and memory of prediction, and throughput of the forward pass alone."""
    options = arguments()
    prepare_runtime(SEED, deterministic=False)
    predictor = Predictor(random_bundle(options.network, options.px, options.filter))
    with tempfile.TemporaryDirectory() as name:
        paths = list(write_images(Path(name), options.images, options.px))
        predictor.predict(paths[:WARM_UP])
        early = peak_mb()
        predictor.predict(paths)
        late = peak_mb()
        latencies = [milliseconds(lambda path=path: predictor.predict([path])) for path in paths[: SINGLE + 1]][1:]
        predicting, bare = throughputs(predictor, paths, options.rounds)
    best = max(bare, key=bare.__getitem__)
    print(f"{options.network}, {options.px} px, filter {options.filter}, {len(paths)} images")
    print(f"prediction: {predicting:.0f} images per second")
    print("forward pass: " + ", ".join(f"{bare[batch]:.0f} at batch {batch}" for batch in BATCHES))
    print(f"ratio: {predicting / bare[best]:.3f} of the best, batch {best}")
    print(f"latency: {statistics.median(latencies):.1f} ms for one image, median of {len(latencies)}")
    print(f"peak memory: {early:.0f} MB after {min(WARM_UP, len(paths))} images, {late:.0f} MB after {len(paths)} more")


def throughputs(predictor: Predictor, paths: Sequence[Path], rounds: int) -> tuple[float, dict[int, float]]:
    """Return images per second from files, and through the network alone by batch size.

    The two are measured in turns, so that other load on the machine affects both.
    """
    images = np.stack([answer.image for answer in predictor.answers(paths, seen=True)])
    predicting, bare = [], {batch: [] for batch in BATCHES}
    for _ in range(rounds):
        predicting.append(rate(lambda: predictor.predict(paths), len(paths)))
        for batch, rates in bare.items():
            rates.append(bare_rate(predictor, images, batch))
    return max(predicting), {batch: max(rates) for batch, rates in bare.items()}


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", nargs="?", default="mobilenet_v2", help="name of a model")
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--px", type=int, default=128, help="size of an image")
    parser.add_argument("--filter", default="none", help="denoise.method")
    parser.add_argument(
        "--rounds", type=int, default=3, help="number of measurements; the fastest counts, on both sides"
    )
    return parser.parse_args()


def random_bundle(name: str, px: int, method: str) -> Bundle:
    """Return an untrained model with the default settings."""
    settings = load_settings(ROOT / "params.yaml")
    card = BundleCard(
        format=2,
        model=name,
        mode=settings.models[name].mode,
        classes=CLASSES,
        img_px=px,
        leak_suspect=False,
        fingerprint="",
        train=settings.train,
        prepare=settings.prepare.model_copy(update={"img_px": px}),
        denoise=settings.denoise.model_copy(update={"method": method}),
        versions={},
        files={},
    )
    return Bundle(card, empty_network(name, card.mode, px, len(CLASSES), card.train))


def write_images(folder: Path, count: int, px: int) -> Iterator[Path]:
    """Write images of noise and yield their paths."""
    rng = np.random.default_rng(SEED)
    for number in range(count):
        write_png16(folder / f"{number}.png", rng.random((px, px)))
        yield folder / f"{number}.png"


def bare_rate(predictor: Predictor, images: np.ndarray, batch: int) -> float:
    """Return images per second through the network at a batch size."""
    whole = len(images) - len(images) % batch or len(images)
    parts = [images[start : start + batch][..., None] for start in range(0, whole, batch)]
    predictor.network.predict_on_batch(parts[0])
    return rate(lambda: [predictor.network.predict_on_batch(part) for part in parts], whole)


def rate(work: Callable[[], object], count: int) -> float:
    """Return how many items per second a function processes."""
    return 1000 * count / milliseconds(work)


def milliseconds(work: Callable[[], object]) -> float:
    """Return the duration of one call."""
    started = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - started)


def peak_mb() -> float:
    """Return the peak resident memory of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
