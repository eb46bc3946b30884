"""The bundle of a model that several sites trained together."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from bonexray.base.files import write_json
from bonexray.base.hashing import digest
from bonexray.data.features_card import read_features_card
from bonexray.data.paths import MODEL_CARD, MODEL_WEIGHTS, features_folder
from bonexray.networks.linear_weights import write_linear_weights
from bonexray.networks.trained import trained_network
from bonexray.registry import FROZEN
from bonexray.serving.bundle import Bundle, BundleCard, bundle_versions
from bonexray.study import Settings

Weights = tuple[np.ndarray, np.ndarray]


def federated_bundle(
    settings: Settings, recipe: Mapping[str, object], classes: Weights, scaling: Weights | None, page: str
) -> Bundle:
    """Return a complete model: the head that the sites trained, on the backbones of the study in the working directory.

    Args:
        settings: of the study, with the preprocessing of the recipe.
        recipe: of the model, which all sites had.
        classes: kernel (width, classes) and bias (classes,) of the head.
        scaling: mean and standard deviation of each feature; None without standardisation.
        page: what is known of the training, in Markdown.
    """
    name = str(recipe["model"])
    cards = {backbone: read_features_card(features_folder(backbone)) for backbone in recipe["backbones"]}
    backbones = {backbone: card["weights_sha256"] for backbone, card in cards.items()}
    conventions = {backbone: card["convention"] for backbone, card in cards.items() if "convention" in card}
    facts = {"model": name, "mode": FROZEN, "classes": list(recipe["classes"]), "img_px": recipe["img_px"]}
    with tempfile.TemporaryDirectory() as temporary:
        folder, train = Path(temporary), settings.train.model_dump(exclude={"repeats"})
        write_linear_weights(folder / MODEL_WEIGHTS, classes, scaling)
        write_json(folder / MODEL_CARD, {**facts, "train": train, "backbones": backbones, "conventions": conventions})
        network = trained_network(folder)
    weights = [array.astype(np.float32).tobytes().hex() for array in (*classes, *(scaling or ()))]
    card = BundleCard(
        format=2,
        **facts,
        leak_suspect=False,
        fingerprint=digest({"recipe": dict(recipe), "weights": weights}),
        train=settings.train,
        denoise=settings.denoise,
        prepare=settings.prepare,
        versions=bundle_versions(),
        conventions=conventions,
        files={},
    )
    return Bundle(card, network, page)
