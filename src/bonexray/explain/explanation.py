"""Heat maps of chosen images, and how like they are to those of the same network with random weights."""

from dataclasses import dataclass

import keras
import numpy as np
import pandas as pd

from bonexray.errors import BonexrayError
from bonexray.explain.feature_maps import halve
from bonexray.explain.gradcam import heat_maps
from bonexray.explain.sanity import likeness, randomise
from bonexray.networks.heads import class_probabilities

TOLERANCE = 0.02  # between probabilities computed in 16 bits and in 32


@dataclass(frozen=True)
class Explanation:
    """What a network looked at in some images.

    Attributes:
        predicted: float (images, px, px) in [0, 1], heat maps for the predicted class.
        actual: the same for the actual class.
        head_randomised: float (images,), likeness of `predicted` to the maps after random weights above the last maps.
        randomised: float (images,), likeness to those after random weights everywhere.
    """

    predicted: np.ndarray
    actual: np.ndarray
    head_randomised: np.ndarray
    randomised: np.ndarray


def choose(rows: pd.DataFrame, probabilities: np.ndarray, classes: list[str], right: int, wrong: int) -> pd.DataFrame:
    """The test images that are worth explaining: the surest right answers and the surest wrong ones.

    The actual classes take turns, in the order of the class map, each with its surest image that is left.

    Args:
        rows: of the predictions: id, split, label, predicted.
        probabilities: float (images, classes), in the order of `rows`.
        classes: the class map.
        right: so many right answers at most.
        wrong: so many wrong ones at most.

    Returns:
        Those rows, right ones first, under their index, with the probability of the predicted class.
    """
    known = rows.assign(probability=probabilities.max(axis=1), place=rows["label"].map(classes.index))
    known = known[known["split"] == "test"].sort_values(["probability", "id"], ascending=[False, True])
    is_right = known["label"] == known["predicted"]
    parts = []
    for answers, count in ((known[is_right], right), (known[~is_right], wrong)):
        turn = answers.groupby("label").cumcount()
        parts.append(answers.assign(turn=turn).sort_values(["turn", "place"]).head(count))
    return pd.concat(parts).drop(columns=["turn", "place"])


def explain(
    network: keras.Model,
    name: str,
    images: np.ndarray,
    shown: pd.DataFrame,
    answers: np.ndarray,
    classes: list[str],
    seed: int,
) -> Explanation:
    """Heat maps, and the same after the weights are drawn anew; the network keeps the random weights.

    Args:
        network: from image to classes.
        name: a key of `REGISTRY`.
        images: float (images, px, px) in [0, 1].
        shown: predicted and label of each.
        answers: float (images, classes), the probabilities that its training recorded.
        classes: the class map.
        seed: of the random weights.

    Raises:
        BonexrayError: the network does not answer as recorded.
    """
    halves, px = halve(network, name), images.shape[1]
    tensor = np.asarray(images, np.float32)[..., None]
    predicted, actual = (shown[column].map(classes.index).to_numpy() for column in ("predicted", "label"))
    maps = halves.below(tensor)
    _require_same_answers(halves.probabilities(maps), answers, name)
    of_predicted, of_actual = (heat_maps(halves, maps, chosen, px) for chosen in (predicted, actual))
    randomise(halves.upper_weights, seed)
    half_random = heat_maps(halves, maps, predicted, px)
    randomise(network.weights, seed)
    all_random = heat_maps(halves, halves.below(tensor), predicted, px)
    return Explanation(of_predicted, of_actual, likeness(of_predicted, half_random), likeness(of_predicted, all_random))


def _require_same_answers(found, recorded: np.ndarray, name: str) -> None:
    """Refuse a network that does not answer as its training recorded, beyond what 16-bit arithmetic explains."""
    found = class_probabilities(keras.ops.convert_to_numpy(found))
    furthest = float(np.abs(found - recorded).max())
    if not furthest <= TOLERANCE:
        raise BonexrayError(
            f"models/{name}",
            expected="weights that give the probabilities in its predictions.csv",
            received=f"others, up to {furthest:.2g} apart",
            do="run `dvc repro`",
        )
