"""Grad-CAM: which places of an image speak for a class."""

import keras
import numpy as np

from bonexray.errors import BonexrayError
from bonexray.explain.feature_maps import Halves
from bonexray.runtime import gradients


def heat_maps(halves: Halves, maps: list, chosen: np.ndarray, px: int) -> np.ndarray:
    """How much each place speaks for a class, as a share of the place that speaks for it most.

    Each channel of the last maps is weighted by the average gradient of the class's score over places; the weighted
    sum is cut off below zero, brought to the image's side and divided by its maximum. The score is the logit, what
    the layer of classes says before its softmax; of a single sigmoid it is the logit for the second class and its
    negative for the first. Of several backbones each has a map of its own, and what is given is their average, again
    as a share of its maximum.

    A head that standardises subtracts a mean from each averaged channel. Averaging and subtracting commute, so the
    mean is subtracted from the maps here: they are those of the same network with the order exchanged. Otherwise
    the part of each channel that the head takes away again would decide what speaks for a class.

    Args:
        halves: the network.
        maps: `halves.below` of the images.
        chosen: int (images,), the class that each image is explained for, a place in the class map.
        px: side of the image.

    Returns:
        float64 (images, px, px) in [0, 1]. All zeros say that nothing speaks for the class; all ones, that no place
        speaks for it more than another, as where the last maps have one place.

    Raises:
        BonexrayError: a gradient is not a finite number.

    References:
        Selvaraju et al., Grad-CAM: visual explanations from deep networks via gradient-based localization, ICCV 2017.
    """
    slopes = gradients(lambda values: class_scores(halves.logits(values), chosen), maps)
    each = [_share_of_strongest(_weighted_sum(*part, px)) for part in zip(maps, slopes, halves.zero, strict=True)]
    return _share_of_strongest(np.mean(each, axis=0))


def class_scores(logits, chosen: np.ndarray):
    """The logit of each image's class, (images,), from those of a softmax (images, classes) or a sigmoid (images, 1)."""
    chosen = np.asarray(chosen)
    if logits.shape[-1] == 1:
        return logits[:, 0] * np.where(chosen == 1, 1.0, -1.0).astype("float32")
    picked = np.eye(logits.shape[-1], dtype="float32")[chosen]
    return keras.ops.sum(logits * picked, axis=-1)


def _weighted_sum(maps, slopes, zero: np.ndarray, px: int) -> np.ndarray:
    weights = keras.ops.mean(slopes, axis=(1, 2), keepdims=True)
    heat = keras.ops.relu(keras.ops.sum(weights * (maps - zero), axis=-1, keepdims=True))
    heat = keras.ops.convert_to_numpy(keras.ops.image.resize(heat, (px, px), interpolation="bilinear"))[..., 0]
    if not np.isfinite(heat).all():
        raise BonexrayError(
            "heat map", expected="finite gradients", received="others", do="train the model again, more gently"
        )
    return heat.astype(np.float64)


def _share_of_strongest(heat: np.ndarray) -> np.ndarray:
    strongest = heat.max(axis=(1, 2), keepdims=True)
    return np.divide(heat, strongest, out=np.zeros_like(heat), where=strongest > 0)
