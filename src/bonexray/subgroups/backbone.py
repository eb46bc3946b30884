"""The features of the frozen network that is best on validation."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from bonexray.aggregate.table import chosen_on_validation
from bonexray.base.errors import BonexrayError
from bonexray.base.files import read_json
from bonexray.base.hashing import sha256_of
from bonexray.data.paths import EVALUATED, FEATURES, MODEL_CARD

FROZEN = "frozen"


def frozen_features(scores: Mapping[str, Mapping], evaluated: Path = EVALUATED) -> tuple[str, np.ndarray] | None:
    """Return the name of the best frozen network and its features, float (images, width); None without such a network.

    Args:
        scores: model to its scores, with those on validation.
        evaluated: folder with the card of each model.

    Raises:
        BonexrayError: the features are missing, or are not those that the network was trained on.
    """
    cards = {name: read_json(evaluated / name / MODEL_CARD) for name in scores}
    frozen = {name: scores[name] for name, card in cards.items() if card["mode"] == FROZEN}
    if not frozen:
        return None
    best = chosen_on_validation(frozen)
    files = {Path(file): digest for file, digest in cards[best]["inputs_sha256"].items() if Path(file).name == FEATURES}
    for file, digest in files.items():
        if not file.is_file() or sha256_of(file) != digest:
            raise BonexrayError(
                str(file),
                expected=f"the features that {best} was trained on",
                received="others" if file.is_file() else "no such file",
                do=f"run `dvc repro --pull features@{file.parent.name}`",
            )
    return best, np.concatenate([np.load(file).astype(float) for file in files], axis=1)


def standardised(features: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Return features with mean 0 and standard deviation 1 over training; a nearly constant one is not blown up.

    Args:
        features: float (images, width).
        train: bool (images,), True for the training split.
    """
    spread = features[train].std(axis=0)
    floor = 0.1 * np.median(spread[spread > 0]) if (spread > 0).any() else 1.0
    return (features - features[train].mean(axis=0)) / np.maximum(spread, floor)
