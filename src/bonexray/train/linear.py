"""The linear head: a penalised logistic regression in the layers of Keras."""

from collections.abc import Sequence

import keras
import numpy as np

from bonexray.networks.heads import STANDARDIZE, class_probabilities
from bonexray.train.batches import Batches
from bonexray.train.regression import STRENGTHS, Labelled, LinearFit, best_of, fit_strengths

CLASSES = "classes"


def fit_linear(
    head: keras.Model,
    train: Batches,
    val: Batches,
    class_weight: dict[int, float] | None,
    strengths: Sequence[float] = STRENGTHS,
) -> list[LinearFit]:
    """Fit a regression of every strength and leave in the head the one with the lowest log loss on validation.

    Args:
        head: an adapted head of kind `linear`.
        train: batches of the training split.
        val: batches of the validation split.
        class_weight: weight of each class in the loss, or None.
        strengths: the candidates.

    Returns:
        The fits, in the order of the candidates.
    """
    layer = head.get_layer(CLASSES)
    fits = fit_strengths(arrays_of(head, train), arrays_of(head, val), layer.units, class_weight, strengths)
    layer.set_weights(best_of(fits).weights)
    return fits


def arrays_of(head: keras.Model, batches: Batches) -> Labelled:
    """Return the features as the head's last layer gets them, and the targets."""
    pairs = [batches[number] for number in range(len(batches))]
    inputs = [np.concatenate(x, axis=1) if isinstance(x, tuple) else x for x, _ in pairs]
    features = np.concatenate(inputs).astype(np.float64)
    if STANDARDIZE in {layer.name for layer in head.layers}:
        mean, std = (np.asarray(w, np.float64) for w in head.get_layer(STANDARDIZE).get_weights())
        features = (features - mean) / std
    return Labelled(features, class_probabilities(np.concatenate([targets for _, targets in pairs])))
