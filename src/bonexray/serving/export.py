"""Export of a model to another format, with a check that its predictions stay the same."""

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from bonexray.base.errors import BonexrayError
from bonexray.base.files import atomic_folder, write_json
from bonexray.base.hashing import sha256_of
from bonexray.data.arrays import ArrayFile
from bonexray.data.manifest import read_manifest
from bonexray.data.paths import IMAGES
from bonexray.networks.outputs import class_probabilities
from bonexray.serving import formats
from bonexray.serving.bundle import Bundle

CALIBRATION_IMAGES, TIMED = 100, 30  # training images for quantisation; forward passes timed
# Largest accepted difference of a probability from the original: the rounding error of 32 bits, and of 8 bits.
LIMITS = {"onnx": 1e-4, "tflite": 1e-4, "tflite-int8": 0.1}


@dataclass(frozen=True)
class Parity:
    """Comparison of an exported model with its original on validation images.

    Attributes:
        images: number of images compared.
        agreement: share of images with the same label.
        largest_difference: largest difference of a probability.
        bytes: size of the exported file.
        original_bytes: size of the original's weights.
        latency_ms: median time for one image.
        original_latency_ms: the same for the original.
    """

    images: int
    agreement: float
    largest_difference: float
    bytes: int
    original_bytes: int
    latency_ms: float
    original_latency_ms: float


def export_model(bundle: Bundle, kind: str, folder: Path, most_different: float | None = None) -> Parity:
    """Write a model in another format, with its card, if its predictions on validation images stay the same.

    Args:
        bundle: the model.
        kind: a key of `formats.FORMATS`.
        folder: the folder for the file and export.json; an existing one is replaced.
        most_different: the largest accepted difference of a probability; None means the one in `LIMITS`.

    Returns:
        The comparison. Times are not in export.json, because they differ between machines.

    Raises:
        BonexrayError: there are no prepared images here, the converter is not installed, or a probability
            differs by more.
    """
    calibration, validation = study_images(bundle.card.img_px)
    limit = LIMITS[kind] if most_different is None else most_different
    with atomic_folder(folder) as partial:
        file = partial / formats.FORMATS[kind]
        if kind == "onnx":
            formats.write_onnx(bundle.network, file)
        else:
            formats.write_tflite(bundle.network, file, calibration if kind == "tflite-int8" else None)
        weights = partial / "original.weights.h5"
        bundle.network.save_weights(weights)
        run = formats.onnx_runner(file) if kind == "onnx" else formats.tflite_runner(file)
        parity = compare(bundle, run, validation, file.stat().st_size, weights.stat().st_size)
        weights.unlink()
        _require_close(kind, parity, limit)
        card = bundle.card.model_dump(include={"model", "classes", "img_px", "denoise", "prepare", "versions"})
        scores = {key: value for key, value in asdict(parity).items() if not key.endswith("latency_ms")}
        write_json(partial / "export.json", {**card, "format": kind, "files": {file.name: sha256_of(file)}, **scores})
    return parity


def study_images(img_px: int) -> tuple[np.ndarray, np.ndarray]:
    """Return some training images and all validation images, float32 (images, px, px) in [0, 1].

    Raises:
        BonexrayError: they are not here, or have another size.
    """
    if not IMAGES.is_file():
        raise BonexrayError(str(IMAGES), expected="prepared images", received="no such file", do="run `dvc repro`")
    images, split = ArrayFile(IMAGES), read_manifest()["split"].to_numpy()
    if images.shape[1] != img_px:
        raise BonexrayError(str(IMAGES), expected=f"{img_px} px", received=images.shape[1], do="run `dvc repro`")
    return images[np.flatnonzero(split == "train")[:CALIBRATION_IMAGES]], images[np.flatnonzero(split == "val")]


def compare(bundle: Bundle, run: formats.Runner, images: np.ndarray, size: int, original_size: int) -> Parity:
    """Compare an exported model with its original, one image at a time as in use.

    Args:
        bundle: the original.
        run: the exported model, images (batch, px, px, 1) to probabilities.
        images: float32 (images, px, px) in [0, 1].
        size: size of the exported file, in bytes.
        original_size: size of the original's weights, in bytes.
    """
    inputs = images[..., None]

    def original(image: np.ndarray) -> np.ndarray:
        return np.asarray(bundle.network.predict_on_batch(image))

    expected, exported = (
        class_probabilities(np.concatenate([predict(inputs[number : number + 1]) for number in range(len(inputs))]))
        for predict in (original, run)
    )
    return Parity(
        images=len(images),
        agreement=float((expected.argmax(axis=1) == exported.argmax(axis=1)).mean()),
        largest_difference=float(np.abs(expected - exported).max()),
        bytes=size,
        original_bytes=original_size,
        latency_ms=_latency_ms(run, inputs[:1]),
        original_latency_ms=_latency_ms(original, inputs[:1]),
    )


def _latency_ms(predict: Callable[[np.ndarray], np.ndarray], image: np.ndarray) -> float:
    times = []
    for _ in range(TIMED):
        started = time.perf_counter()
        predict(image)
        times.append(1000 * (time.perf_counter() - started))
    return statistics.median(times)


def _require_close(kind: str, parity: Parity, limit: float) -> None:
    if not parity.largest_difference <= limit:
        raise BonexrayError(
            f"--format {kind}",
            expected=f"probabilities that differ by at most {limit:g} from the original",
            received=f"a difference of {parity.largest_difference:.2g}; {parity.agreement:.0%} of the labels agree",
            do="choose another format, or raise --most-different",
        )
