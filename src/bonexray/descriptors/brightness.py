"""The brightness of an image, which a study of disease should beat."""

import numpy as np


def describe(image: np.ndarray) -> dict[str, float]:
    """Return the mean of an image, float (px, px) in [0, 1]."""
    return {"mean": float(image.mean())}
