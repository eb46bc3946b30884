"""Outputs of networks as class probabilities."""

import numpy as np


def class_probabilities(outputs: np.ndarray) -> np.ndarray:
    """Return outputs (images, classes) of a softmax or (images, 1) of a sigmoid as probabilities (images, classes)."""
    return np.concatenate([1 - outputs, outputs], axis=1) if outputs.shape[1] == 1 else outputs
