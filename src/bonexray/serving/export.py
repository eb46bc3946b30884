"""A model in another format, and whether it still answers as the original does."""

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from bonexray.data.arrays import ArrayFile
from bonexray.data.manifest import read_manifest
from bonexray.data.paths import IMAGES
from bonexray.errors import BonexrayError
from bonexray.files import atomic_folder, write_json
from bonexray.hashing import sha256_of
from bonexray.networks.heads import class_probabilities
from bonexray.serving import conversion as export
from bonexray.serving.bundle import Bundle

TYPICAL, TIMED = 100, 30  # training images that quantisation sees; single images that are timed
# How far a probability may be from the original's: rounding of 32 bits, and what 8 bits cost.
LIMITS = {"onnx": 1e-4, "tflite": 1e-4, "tflite-int8": 0.1}


@dataclass(frozen=True)
class Parity:
    """An exported model beside its original, on validation images.

    Attributes:
        images: how many were compared.
        agreement: share of them with the same label.
        largest_difference: between two probabilities.
        bytes: of the exported file.
        original_bytes: of the original's weights.
        latency_ms: median for one image.
        original_latency_ms: the same of the original.
    """

    images: int
    agreement: float
    largest_difference: float
    bytes: int
    original_bytes: int
    latency_ms: float
    original_latency_ms: float


def export_model(bundle: Bundle, kind: str, folder: Path, most: float | None = None) -> Parity:
    """Write a model in another format, with its card beside it, once it has answered validation images alike.

    Args:
        bundle: the model.
        kind: a key of `export.FORMATS`.
        folder: gets the file and export.json; what is in the way is replaced.
        most: largest difference that is not refused; None takes that of `LIMITS`.

    Returns:
        How near the two are and what they cost. Times are not written down: they are another machine's tomorrow.

    Raises:
        BonexrayError: no prepared images here, no converter, or answers further apart than `most`.
    """
    typical, validation = study_images(bundle.card.img_px)
    limit = LIMITS[kind] if most is None else most
    with atomic_folder(folder) as partial:
        file = partial / export.FORMATS[kind]
        if kind == "onnx":
            export.write_onnx(bundle.network, file)
        else:
            export.write_tflite(bundle.network, file, typical if kind == "tflite-int8" else None)
        weights = partial / "original.weights.h5"
        bundle.network.save_weights(weights)
        run = export.onnx_runner(file) if kind == "onnx" else export.tflite_runner(file)
        parity = compared(bundle, run, validation, file.stat().st_size, weights.stat().st_size)
        weights.unlink()
        _require_near(kind, parity, limit)
        about = bundle.card.model_dump(include={"model", "classes", "img_px", "denoise", "prepare", "versions"})
        found = {key: value for key, value in asdict(parity).items() if not key.endswith("latency_ms")}
        write_json(partial / "export.json", {**about, "format": kind, "files": {file.name: sha256_of(file)}, **found})
    return parity


def study_images(img_px: int) -> tuple[np.ndarray, np.ndarray]:
    """Some training images and all validation images of the study, float32 (images, px, px) in [0, 1].

    Raises:
        BonexrayError: they are not here, or of another side.
    """
    if not IMAGES.is_file():
        raise BonexrayError(str(IMAGES), expected="prepared images", received="no such file", do="run `dvc repro`")
    images, split = ArrayFile(IMAGES), read_manifest()["split"].to_numpy()
    if images.shape[1] != img_px:
        raise BonexrayError(str(IMAGES), expected=f"{img_px} px", received=images.shape[1], do="run `dvc repro`")
    return images[np.flatnonzero(split == "train")[:TYPICAL]], images[np.flatnonzero(split == "val")]


def compared(bundle: Bundle, run: export.Runner, images: np.ndarray, size: int, original_size: int) -> Parity:
    """Answer images by both, one after the other as they would come."""
    shown = images[..., None]

    def original(image: np.ndarray) -> np.ndarray:
        return np.asarray(bundle.network.predict_on_batch(image))

    expected, found = (
        class_probabilities(np.concatenate([answer(shown[place : place + 1]) for place in range(len(shown))]))
        for answer in (original, run)
    )
    return Parity(
        images=len(images),
        agreement=float((expected.argmax(axis=1) == found.argmax(axis=1)).mean()),
        largest_difference=float(np.abs(expected - found).max()),
        bytes=size,
        original_bytes=original_size,
        latency_ms=_latency_ms(run, shown[:1]),
        original_latency_ms=_latency_ms(original, shown[:1]),
    )


def _latency_ms(answer: Callable[[np.ndarray], np.ndarray], image: np.ndarray) -> float:
    times = []
    for _ in range(TIMED):
        started = time.perf_counter()
        answer(image)
        times.append(1000 * (time.perf_counter() - started))
    return statistics.median(times)


def _require_near(kind: str, parity: Parity, most: float) -> None:
    if not parity.largest_difference <= most:
        raise BonexrayError(
            f"--format {kind}",
            expected=f"probabilities at most {most:g} from the original's",
            received=f"{parity.largest_difference:.2g} apart, {parity.agreement:.0%} of the labels alike",
            do="take another format, or allow more with --most-different",
        )
