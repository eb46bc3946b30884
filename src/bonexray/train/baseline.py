"""Training of a baseline: a penalised logistic regression on a few numbers of each image, without Keras."""

import logging
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
from sklearn.preprocessing import StandardScaler

from bonexray.base.files import atomic_folder, read_json, write_json
from bonexray.base.hashing import digest, sha256_of
from bonexray.data.arrays import ArrayFile
from bonexray.data.folds import FIRST, runs_of, split_in
from bonexray.data.manifest import class_numbers, read_classes, read_leak_suspect, read_manifest
from bonexray.data.paths import (
    COEFFICIENTS,
    HISTORY,
    IMAGES,
    MANIFEST,
    MODEL_CARD,
    NUMBERS,
    PENALTY,
    PREDICTIONS,
    REGRESSION,
    model_folder,
)
from bonexray.data.predictions import write_predictions
from bonexray.progress import progress
from bonexray.registry import BASELINE
from bonexray.train.recorded import Recorded
from bonexray.train.regression import (
    Labelled,
    LinearFit,
    best_of,
    choice_among,
    fit_strengths,
    metrics_of,
    probabilities_of,
)
from bonexray.train.settings import ModelRow, Train

STARTS_FROM = "numbers of each image"
log = logging.getLogger("bonexray")


def train_baseline(name: str, row: ModelRow, options: Train, recorded: Recorded) -> None:
    """Write models/<name>/: model.json, predictions.csv, numbers.npy, and of the first training the rest.

    The rest is coefficients.csv, regression.json and history.csv.

    Args:
        name: a key of `BASELINES`.
        row: its entry among the models of the study.
        options: class weights and repeats; a regression has no seed, so all repeats are equal.
        recorded: gives the context that records a training.
    """
    manifest, classes, images = read_manifest(), read_classes(), ArrayFile(IMAGES)
    described = describe_images(name, images)
    labels = class_numbers(manifest["label"], classes)
    card = _card(name, row, options, manifest, classes, images)
    with atomic_folder(model_folder(name)) as folder:
        np.save(folder / NUMBERS, described.to_numpy())
        predictions = {}
        for run in runs_of(manifest, options.repeats):
            with recorded(card, run) as record:
                split = split_in(manifest, run.fold).to_numpy()
                scaler = StandardScaler().fit(described[split == "train"].to_numpy())
                features = scaler.transform(described.to_numpy())
                fits, history, predictions[run] = _fit(features, labels, split, len(classes), options)
                for row_of in history.to_dict("records"):
                    record.epoch(row_of.pop("epoch"), {k: v for k, v in row_of.items() if k != "phase"})
            if run == FIRST:
                history.to_csv(folder / HISTORY, index=False, lineterminator="\n")
                _write_coefficients(folder / COEFFICIENTS, best_of(fits), list(described), classes)
                _write_regression(folder / REGRESSION, best_of(fits), scaler)
                choice = choice_among(fits)
        best = best_of(fits)
        log.info("%s: penalty %g, validation log loss %.4f", name, best.strength, best.val_log_loss)
        cost = {"parameters": sum(weights.size for weights in best.weights), "multiply_adds": None}
        size = {"file_mb": round((folder / COEFFICIENTS).stat().st_size / 1e6, 3)}
        write_json(folder / MODEL_CARD, {**card, **cost, **size, **choice})
        write_predictions(folder / PREDICTIONS, manifest, predictions, classes)


def baseline_answers(name: str, images: ArrayFile) -> np.ndarray:
    """Return the probabilities (images, classes) of a trained baseline for other images.

    Args:
        name: a key of `BASELINES`, with models/<name>/regression.json.
        images: prepared images, float (images, px, px) in [0, 1].
    """
    stored = {key: np.array(values) for key, values in read_json(model_folder(name) / REGRESSION).items()}
    features = (describe_images(name, images).to_numpy() - stored["mean"]) / stored["scale"]
    return probabilities_of((stored["coefficients"], stored["intercept"]), features)


def describe_images(name: str, images: ArrayFile) -> pd.DataFrame:
    """Return the numbers of `descriptors/<name>.py` for each image, one column each.

    Args:
        name: a key of `BASELINES`.
        images: prepared images, float (images, px, px) in [0, 1].
    """
    describe = _descriptor(name).describe
    rows = progress((describe(images[number]) for number in range(len(images))), f"describing by {name}", len(images))
    return pd.DataFrame(rows)


def _descriptor(name: str) -> ModuleType:
    return import_module(f"bonexray.descriptors.{name}")


def _fit(
    features: np.ndarray, labels: np.ndarray, split: np.ndarray, classes: int, options: Train
) -> tuple[list[LinearFit], pd.DataFrame, np.ndarray]:
    """Return the regressions of all penalties, their history, and the probabilities of all images by the best."""
    wanted = np.eye(classes)[labels]
    train, val = (Labelled(features[split == part], wanted[split == part]) for part in ("train", "val"))
    fits = fit_strengths(train, val, classes, "balanced" if options.class_weights == "balanced" else None)
    rows = [{"epoch": number, "phase": PENALTY, **metrics_of(fit, train, val)} for number, fit in enumerate(fits, 1)]
    return fits, pd.DataFrame(rows), probabilities_of(best_of(fits).weights, features)


def _card(
    name: str, row: ModelRow, options: Train, manifest: pd.DataFrame, classes: list[str], images: ArrayFile
) -> dict[str, object]:
    """Return what identifies the training of a baseline, as `model_card` does for a network."""
    card = {
        "model": name,
        "mode": BASELINE,
        "classes": classes,
        "leak_suspect": read_leak_suspect(),
        "img_px": images.shape[1],
        "definition": row.inputs,
        "starts_from": STARTS_FROM,
        "backbones": {},
        "manifest_sha256": sha256_of(MANIFEST),
        "inputs_sha256": {str(IMAGES): sha256_of(IMAGES), row.inputs[0]: sha256_of(Path(_descriptor(name).__file__))},
        "train": {"class_weights": options.class_weights},
    }
    runs = [asdict(run) for run in runs_of(manifest, options.repeats)]
    return {**card, "fingerprint": digest(card), "runs": runs}


def _write_regression(path: Path, fit: LinearFit, scaler: StandardScaler) -> None:
    """Write what predicts other images: mean and scale of each number, and the weights on standardised numbers."""
    coefficients, intercept = fit.weights
    content = {"mean": scaler.mean_, "scale": scaler.scale_, "coefficients": coefficients, "intercept": intercept}
    write_json(path, {key: values.tolist() for key, values in content.items()})


def _write_coefficients(path: Path, fit: LinearFit, numbers: list[str], classes: list[str]) -> None:
    """Write the coefficient of each standardised number for each class."""
    table = pd.DataFrame(fit.weights[0], index=pd.Index(numbers, name="number"), columns=classes)
    table.to_csv(path, lineterminator="\n", float_format="%.6f")
