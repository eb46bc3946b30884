"""The main output of each stage, read from a study's folder."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from bonexray.base.files import read_json
from bonexray.data.arrays import ArrayFile
from bonexray.data.manifest import read_manifest
from bonexray.data.paths import (
    CLINICAL,
    COMPARISON,
    DENOISE,
    EXPLAINED_REPORTS,
    EXTERNAL,
    EXTERNAL_METRICS,
    FEATURES,
    HISTORY,
    IMAGES,
    LEARNING_CURVE,
    MANIFEST,
    MODELS,
    SUBGROUPS,
    features_folder,
    model_folder,
)
from bonexray.experiment.results import REPORT
from bonexray.phantom.settings import FOLDERS

# Each reader takes the study's folder and the rest of the call; `read_output` lists the return values.
READERS: dict[str, Callable[..., object]] = {
    "phantom": lambda folder, part: pd.read_csv(folder / FOLDERS[part] / "truth.csv"),
    "split": lambda folder: read_manifest(folder / MANIFEST),
    "denoise": lambda folder: read_json(folder / DENOISE),
    "prepare": lambda folder: ArrayFile(folder / IMAGES),
    "cohort": lambda folder: folder / "reports/cohort",
    "augment": lambda folder: folder / "reports/augmentation",
    "features": lambda folder, backbone: ArrayFile(folder / features_folder(backbone) / FEATURES),
    "train": lambda folder, model: pd.read_csv(folder / model_folder(model) / HISTORY),
    "evaluate": lambda folder: read_json(folder / MODELS),
    "explain": lambda folder: folder / EXPLAINED_REPORTS,
    "external": lambda folder, cohort: read_manifest(folder / EXTERNAL / cohort / MANIFEST.name),
    "external_scores": lambda folder, cohort: read_json(folder / EXTERNAL_METRICS / f"{cohort}.json")["models"],
    "learning_curve": lambda folder: pd.read_csv(folder / LEARNING_CURVE),
    "aggregate": lambda folder: pd.read_csv(folder / COMPARISON),
    "subgroups": lambda folder: read_json(folder / SUBGROUPS)["columns"],
    "clinical": lambda folder: read_json(folder / CLINICAL)["models"],
    "report": lambda folder: folder / REPORT,
}


def read_output(folder: Path, stage: str, *names: str) -> object:
    """Return the main output of a finished stage.

    Args:
        folder: the study's folder.
        stage: the name of the stage.
        names: the model, backbone, cohort or simulated hospital, for a stage that runs once for each.

    Returns:
        phantom: a data frame, one row per image: path, patient, label, T-score and bone measures.
        split: the manifest, a data frame, one row per image: id, path, label, group, split, fold, sha256.
        denoise: PSNR in dB and SSIM before and after the filter, and the number of images measured.
        prepare: the networks' input, float32 (images, img_px, img_px) in [0, 1], in the manifest's order.
        cohort, augment, explain: the folder of figures.
        features: a frozen backbone's output, float32 (images, width), in the manifest's order.
        train: a data frame, one row per epoch: losses, accuracies and learning rate.
        evaluate: model to its scores by name, with `_low` and `_high` for the interval of each.
        external: the manifest of the cohort, a data frame, one row per usable image: id, path, label, group.
        external_scores: model to its scores on the cohort.
        learning_curve: a data frame, one row per model and share of the training patients.
        aggregate: the ranked table, a data frame, one row per model and ensemble.
        subgroups: column of the record to the chosen model's scores by subgroup and the gaps between them.
        clinical: the scores of the record alone, of the image alone and of both.
        report: the path of the page.
    """
    return READERS[stage](folder, *names)
