"""The table of heat maps from feature maps and the gradients of a class score: one row a method.

Each takes feature maps and gradients, (batch, rows, columns, channels), and returns (batch, rows, columns, 1), of which
`gradcam.heat_maps` keeps what is above zero. Where the class score is linear in the average of each channel, gradients
are the same at every place, and Grad-CAM and HiResCAM agree.
"""

from collections.abc import Callable

import keras

GRADCAM = "gradcam"


def gradcam(maps, slopes):
    """Weight each channel by its mean gradient (Selvaraju et al., ICCV 2017)."""
    return _summed(keras.ops.mean(slopes, axis=(1, 2), keepdims=True) * maps)


def hirescam(maps, slopes):
    """Weight each place of each channel by its own gradient (Draelos and Carin, arXiv 2011.08891, 2020)."""
    return _summed(slopes * maps)


def layercam(maps, slopes):
    """Weight each place of each channel by its own gradient if it is positive (Jiang et al., IEEE TIP 30, 2021)."""
    return _summed(keras.ops.relu(slopes) * maps)


def gradcam_pp(maps, slopes):
    """Weight each channel by its positive gradients, more where few places carry them (Chattopadhay et al., WACV 2018).

    The weights are those of the exponential of the class score, whose higher derivatives are powers of its gradient.
    """
    total = keras.ops.sum(maps, axis=(1, 2), keepdims=True)
    below = 2 * slopes**2 + total * slopes**3
    share = keras.ops.where(below == 0, 0.0, slopes**2 / keras.ops.where(below == 0, 1.0, below))
    return _summed(keras.ops.sum(share * keras.ops.relu(slopes), axis=(1, 2), keepdims=True) * maps)


def _summed(weighted):
    return keras.ops.sum(weighted, axis=-1, keepdims=True)


METHODS: dict[str, Callable] = {
    GRADCAM: gradcam,
    "hirescam": hirescam,
    "gradcam_pp": gradcam_pp,
    "layercam": layercam,
}
