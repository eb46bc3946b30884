"""Score the heat maps of a network on the images with regions, and the same network with random weights."""

from collections.abc import Iterator

import keras
import numpy as np
import pandas as pd

from bonexray.explain.cam_methods import METHODS
from bonexray.explain.feature_maps import split_network
from bonexray.explain.gradcam import heat_maps
from bonexray.explain.localisation_files import RANDOM, TAUGHT
from bonexray.explain.localisation_scores import best_thresholds, joined
from bonexray.explain.located import Located
from bonexray.explain.sanity import randomise
from bonexray.explain.taught import taught_maps
from bonexray.registry import model_row


def methods_of(name: str) -> list[str]:
    """Return the kinds of heat maps of a model; one that is taught where to look has its own first."""
    return [*([TAUGHT] if model_row(name).locator else []), *METHODS]


def localise(
    network: keras.Model, name: str, located: Located, classes: list[str], seed: int
) -> tuple[pd.DataFrame, dict[str, dict[str, float]]]:
    """Score every kind of heat map for the actual class; the network keeps random weights.

    Args:
        network: from image to classes.
        name: a key of `REGISTRY`.
        located: the images with regions.
        classes: the class map.
        seed: of the random weights.

    Returns:
        A row for each test image and kind of map: method, id, group and the scores; and the thresholds of each kind,
        chosen on validation. The kind `RANDOM` is the model's first kind with random weights.
    """
    methods = methods_of(name)
    scores = {method: [] for method in (*methods, RANDOM)}
    for positions, maps in _maps(network, name, located, classes, methods):
        for method, heat in zip(methods, maps, strict=True):
            scores[method].append(located.score(heat, positions))
    randomise(network.weights, seed)
    for positions, (heat,) in _maps(network, name, located, classes, methods[:1]):
        scores[RANDOM].append(located.score(heat, positions))
    tables, thresholds = [], {}
    for method, parts in scores.items():
        whole = joined(parts)
        thresholds[method] = best_thresholds(whole, ~located.is_test)
        table = located.rows[["id", "group"]].assign(**whole.at(thresholds[method]))[located.is_test]
        table.insert(0, "method", method)
        tables.append(table)
    return pd.concat(tables, ignore_index=True), thresholds


def first_maps(network: keras.Model, name: str, located: Located, classes: list[str], rows: np.ndarray) -> np.ndarray:
    """Return the maps of a model's first kind, float (n, px, px), of the images at some positions."""
    part = located.only(rows)
    return np.concatenate([maps[0] for _, maps in _maps(network, name, part, classes, methods_of(name)[:1])])


def _maps(
    network: keras.Model, name: str, located: Located, classes: list[str], methods: list[str]
) -> Iterator[tuple[np.ndarray, list[np.ndarray]]]:
    """Yield the positions of a batch of images, and their heat maps (n, px, px) of each method."""
    split, px = split_network(network, name), located.boxes.shape[1]
    actual = located.rows["label"].map(classes.index).to_numpy()
    for positions in located.batches():
        images = np.asarray(located.images(positions), np.float32)[..., None]
        maps = split.feature_maps(images)
        yield (
            positions,
            [
                taught_maps(network, name, images)
                if method == TAUGHT
                else heat_maps(split, maps, actual[positions], px, method)
                for method in methods
            ],
        )
