"""The card of a network: what identifies its training, and its cost."""

from dataclasses import asdict
from pathlib import Path

from bonexray.base.hashing import digest, sha256_of
from bonexray.data.arrays import ArrayFile
from bonexray.data.features_card import read_features_card
from bonexray.data.folds import runs_of
from bonexray.data.manifest import read_leak_suspect
from bonexray.data.paths import IMAGES, MANIFEST, weights_path
from bonexray.registry import FINE_TUNE, model_row
from bonexray.train.cohort import Cohort


def model_card(name: str, cohort: Cohort) -> dict[str, object]:
    """Describe a model and, by hash, its training data: enough to identify its training and to rebuild it.

    Returns:
        model, mode, classes, leak_suspect, img_px, definition (its rows in the table of models, in words), starts_from,
        backbones (name to SHA-256 of the weights), manifest_sha256, inputs_sha256,
        conventions (only for backbones whose weights file states another convention than the table of models),
        the settings (train; augment, if it learns from images; fine_tune, in that mode), fingerprint (the hash of all
        of these), runs (repeat and fold of each training).
    """
    mode, tuned = cohort.row.mode, cohort.row.fine_tune
    card = {
        "model": name,
        "mode": mode,
        "classes": cohort.classes,
        "leak_suspect": read_leak_suspect(),
        "img_px": image_side(cohort),
        "definition": cohort.definition,
        "starts_from": cohort.starts_from,
        "backbones": {backbone: _weights_hash(backbone, cohort) for backbone in model_row(name).backbones},
        "manifest_sha256": sha256_of(MANIFEST),
        "inputs_sha256": {str(file): sha256_of(file) for file in cohort.files},
        "train": cohort.train.model_dump(exclude={"repeats"}),
    }
    if conventions := cohort.conventions:
        card["conventions"] = conventions
    if cohort.learns_from_images:
        card["augment"] = cohort.augment.model_dump()
    if mode == FINE_TUNE and tuned is not None:
        card["fine_tune"] = tuned.model_dump()
    runs = [asdict(run) for run in runs_of(cohort.manifest, cohort.train.repeats)]
    return {**card, "fingerprint": digest(card), "runs": runs}


def cost(parameters: int, multiply_adds: int, cohort: Cohort, weights: Path) -> dict[str, float]:
    """Return the size and computing cost of a model, including its frozen backbones.

    Args:
        parameters: number of weights in the file that training wrote.
        multiply_adds: number for one image, in the layers whose weights are in the file.
        cohort: its training data.
        weights: the file.

    Returns:
        parameters; multiply_adds for one image; file_mb, all weights in millions of bytes.
    """
    frozen = [] if cohort.learns_from_images else [read_features_card(folder) for folder in cohort.row.features]
    size = weights.stat().st_size + sum(card["weights_bytes"] for card in frozen)
    return {
        "parameters": parameters + sum(card["parameters"] for card in frozen),
        "multiply_adds": multiply_adds + sum(card["multiply_adds"] for card in frozen),
        "file_mb": round(size / 1e6, 3),
    }


def image_side(cohort: Cohort) -> int:
    """Return the side in pixels of the images that a cohort's model sees."""
    if cohort.learns_from_images:
        return ArrayFile(IMAGES).shape[1]
    return read_features_card(cohort.row.features[0])["img_px"]


def _weights_hash(backbone: str, cohort: Cohort) -> str:
    if cohort.learns_from_images:
        return sha256_of(weights_path(backbone))
    return next(
        card["weights_sha256"] for card in map(read_features_card, cohort.row.features) if card["backbone"] == backbone
    )
