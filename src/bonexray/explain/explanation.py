"""Heat maps of selected images, and their similarity to maps of the same network with random weights."""

from dataclasses import dataclass

import keras
import numpy as np
import pandas as pd

from bonexray.base.errors import BonexrayError
from bonexray.explain.feature_maps import split_network
from bonexray.explain.gradcam import heat_maps
from bonexray.explain.sanity import likeness, randomise
from bonexray.networks.outputs import class_probabilities

TOLERANCE = 0.02  # between probabilities computed in 16 and in 32 bits


@dataclass(frozen=True)
class Explanation:
    """Heat maps of some images, and how much they depend on the trained weights.

    Attributes:
        predicted: float (images, px, px) in [0, 1], heat maps for the predicted class.
        actual: the same for the actual class.
        head_randomised: float (images,), rank correlation of `predicted` with maps after randomising the weights above the
            last feature maps.
        randomised: float (images,), rank correlation with maps after randomising all weights.
    """

    predicted: np.ndarray
    actual: np.ndarray
    head_randomised: np.ndarray
    randomised: np.ndarray


def choose(rows: pd.DataFrame, probabilities: np.ndarray, classes: list[str], right: int, wrong: int) -> pd.DataFrame:
    """Select the test images with the most confident correct and wrong predictions.

    The actual classes take turns, in the order of the class map, each with its most confident remaining image.

    Args:
        rows: the predictions: id, split, label, predicted.
        probabilities: float (images, classes), in the order of `rows`.
        classes: the class map.
        right: maximum number of correct predictions.
        wrong: maximum number of wrong predictions.

    Returns:
        The selected rows, correct ones first, with their index and the probability of the predicted class.
    """
    rows = rows.assign(probability=probabilities.max(axis=1), class_index=rows["label"].map(classes.index))
    rows = rows[rows["split"] == "test"].sort_values(["probability", "id"], ascending=[False, True])
    is_right = rows["label"] == rows["predicted"]
    parts = []
    for candidates, count in ((rows[is_right], right), (rows[~is_right], wrong)):
        turn = candidates.groupby("label").cumcount()
        parts.append(candidates.assign(turn=turn).sort_values(["turn", "class_index"]).head(count))
    return pd.concat(parts).drop(columns=["turn", "class_index"])


def explain(
    network: keras.Model,
    name: str,
    images: np.ndarray,
    rows: pd.DataFrame,
    probabilities: np.ndarray,
    classes: list[str],
    seed: int,
) -> Explanation:
    """Compute heat maps before and after randomising the weights; the network keeps the random weights.

    Args:
        network: a network from image to classes.
        name: a key of `REGISTRY`.
        images: float (images, px, px) in [0, 1].
        rows: predicted and label of each image.
        probabilities: float (images, classes), as recorded by the training.
        classes: the class map.
        seed: seed of the random weights.

    Raises:
        BonexrayError: if the network does not reproduce the recorded probabilities.
    """
    split, px = split_network(network, name), images.shape[1]
    tensor = np.asarray(images, np.float32)[..., None]
    predicted, actual = (rows[column].map(classes.index).to_numpy() for column in ("predicted", "label"))
    maps = split.feature_maps(tensor)
    _require_same_probabilities(split.probabilities(maps), probabilities, name)
    of_predicted, of_actual = (heat_maps(split, maps, chosen, px) for chosen in (predicted, actual))
    randomise(split.upper_weights, seed)
    upper_random = heat_maps(split, maps, predicted, px)
    randomise(network.weights, seed)
    all_random = heat_maps(split, split.feature_maps(tensor), predicted, px)
    return Explanation(
        of_predicted, of_actual, likeness(of_predicted, upper_random), likeness(of_predicted, all_random)
    )


def _require_same_probabilities(outputs, recorded: np.ndarray, name: str) -> None:
    """Refuse probabilities that differ from the recorded ones by more than 16-bit arithmetic explains."""
    probabilities = class_probabilities(keras.ops.convert_to_numpy(outputs))
    difference = float(np.abs(probabilities - recorded).max())
    if not difference <= TOLERANCE:
        raise BonexrayError(
            f"models/{name}",
            expected="weights that reproduce the probabilities in its predictions.csv",
            received=f"differences of up to {difference:.2g}",
            do="run `dvc repro`",
        )
