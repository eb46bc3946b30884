"""Grad-CAM and its relatives: the regions of an image that support a class."""

import keras
import numpy as np

from bonexray.base.errors import BonexrayError
from bonexray.explain.cam_methods import GRADCAM, METHODS
from bonexray.explain.feature_maps import SplitNetwork
from bonexray.runtime import gradients


def heat_maps(network: SplitNetwork, maps: list, chosen: np.ndarray, px: int, method: str = GRADCAM) -> np.ndarray:
    """Return how strongly each pixel supports a class, relative to the strongest pixel.

    Each channel of the last feature maps is weighted by the gradient of the class score, averaged over the map. The
    weighted sum is clipped at zero, resized to the image and divided by its maximum. The score is the logit of the
    class; for a single sigmoid, its logit for the second class and the negative of it for the first; for an ordinal
    layer, the logit of a grade above the one before, and for the lowest the negative of the first logit. With several
    backbones, their maps are averaged and divided by the maximum again.

    A standardising head subtracts a mean from each averaged channel. Averaging and subtracting commute, so the mean is
    subtracted from the maps instead. Otherwise the part of a channel that the head removes would dominate the map.

    Args:
        network: a network split at its last feature maps.
        maps: `network.feature_maps` of the images.
        chosen: int (images,), the class to explain for each image, as an index in the class map.
        px: side of the image.
        method: a key of `METHODS`; the text above describes the first.

    Returns:
        float64 (images, px, px) in [0, 1]. All zeros mean that nothing supports the class; all ones, that all pixels
        support it alike, as when the last feature maps are 1 x 1.

    Raises:
        BonexrayError: if a gradient is not finite.

    References:
        Selvaraju et al., Grad-CAM: visual explanations from deep networks via gradient-based localization, ICCV 2017.
    """
    slopes = gradients(lambda values: class_scores(network.class_logits(values), chosen), maps)
    parts = zip(maps, slopes, network.offsets, strict=True)
    return _relative(np.mean([_relative(_heat(*part, px, method)) for part in parts], axis=0))


def class_scores(logits, chosen: np.ndarray):
    """Return each image's logit for its class, (images,), from logits (images, classes), or (images, 1) of a sigmoid."""
    chosen = np.asarray(chosen)
    if logits.shape[-1] == 1:
        return logits[:, 0] * np.where(chosen == 1, 1.0, -1.0).astype("float32")
    one_hot = np.eye(logits.shape[-1], dtype="float32")[chosen]
    return keras.ops.sum(logits * one_hot, axis=-1)


def _heat(maps, slopes, offsets: np.ndarray, px: int, method: str) -> np.ndarray:
    heat = keras.ops.relu(METHODS[method](maps - offsets, slopes))
    heat = keras.ops.convert_to_numpy(keras.ops.image.resize(heat, (px, px), interpolation="bilinear"))[..., 0]
    if not np.isfinite(heat).all():
        raise BonexrayError(
            "heat map", expected="finite gradients", received="others", do="train the model again, more gently"
        )
    return heat.astype(np.float64)


def _relative(heat: np.ndarray) -> np.ndarray:
    strongest = heat.max(axis=(1, 2), keepdims=True)
    return np.divide(heat, strongest, out=np.zeros_like(heat), where=strongest > 0)
