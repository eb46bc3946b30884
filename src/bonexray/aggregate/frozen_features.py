"""Features of frozen backbones, verified by their hashes in a model's card."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from bonexray.aggregate.choice import chosen_by_fold
from bonexray.aggregate.panel import panel_of
from bonexray.base.errors import BonexrayError
from bonexray.base.files import read_json
from bonexray.base.hashing import sha256_of
from bonexray.data.paths import EVALUATED, FEATURES, MODEL_CARD, PREDICTIONS
from bonexray.data.predictions import read_predictions
from bonexray.evaluate.choice import chosen_on_validation
from bonexray.networks.scaling import mean_and_std

FROZEN = "frozen"


def best_by_fold(
    scores: Mapping[str, Mapping], classes: list[str], unit: str, evaluated: Path = EVALUATED
) -> dict[int, str]:
    """Return the frozen network that is best on the validation images of each fold; empty without such a network.

    Args:
        scores: model to its scores, with those on validation.
        classes: names of the classes.
        unit: image or patient, see `Evaluate`.
        evaluated: folder with the card and the predictions of each model.
    """
    frozen = _frozen(scores, evaluated)
    if not frozen:
        return {}
    panel = panel_of({name: read_predictions(evaluated / name / PREDICTIONS, classes) for name in frozen})
    if panel.rows["fold"].max() == 1:
        return {1: chosen_on_validation(frozen)}
    return chosen_by_fold(panel.in_unit(unit), classes)


def frozen_features(scores: Mapping[str, Mapping], evaluated: Path = EVALUATED) -> tuple[str, np.ndarray] | None:
    """Return the name of the frozen network that is best on validation and its features; None without such a network.

    With folds its choice has seen the test images: it may not be scored on their classes, see `best_by_fold`.

    Args:
        scores: model to its scores, with those on validation.
        evaluated: folder with the card of each model.

    Raises:
        BonexrayError: the features are missing, or are not those that the network was trained on.
    """
    frozen = _frozen(scores, evaluated)
    if not frozen:
        return None
    best = chosen_on_validation(frozen)
    return best, features_of(read_json(evaluated / best / MODEL_CARD))


def _frozen(scores: Mapping[str, Mapping], evaluated: Path) -> dict[str, Mapping]:
    """Return the scores of the models with a frozen backbone."""
    return {name: own for name, own in scores.items() if read_json(evaluated / name / MODEL_CARD)["mode"] == FROZEN}


def features_of(card: Mapping[str, object]) -> np.ndarray:
    """Return the features that a frozen model was trained on, float64 (images, width), of all images.

    A stage that reads them depends on data/evaluated, whose cards have their hashes.

    Args:
        card: the content of its model.json.

    Raises:
        BonexrayError: the features are missing, or are not those that the model was trained on.
    """
    files = {Path(file): digest for file, digest in card["inputs_sha256"].items() if Path(file).name == FEATURES}
    for file, digest in files.items():
        if not file.is_file() or sha256_of(file) != digest:
            raise BonexrayError(
                str(file),
                expected=f"the features that {card['model']} was trained on",
                received="others" if file.is_file() else "no such file",
                do=f"run `dvc repro --pull features@{file.parent.name}`",
            )
    return np.concatenate([np.load(file).astype(float) for file in files], axis=1)


def standardised(features: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Return features standardised by the training images, as a head standardises them.

    Args:
        features: float (images, width).
        train: bool (images,), True for the training split.
    """
    mean, std = mean_and_std([features[train]])
    return (features - mean) / std
