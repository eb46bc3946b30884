"""Shares of the training patients, each contained in the next larger one."""

from collections.abc import Sequence

import numpy as np


def nested_subsets(
    groups: np.ndarray, labels: np.ndarray, shares: Sequence[float], rng: np.random.Generator
) -> list[np.ndarray]:
    """Draw shares of the patients, stratified by class, each contained in every larger one.

    The patients of each class are put in a random order, and a share takes the first of them, at least one. A patient's
    images stay together; a patient whose images differ in class belongs to the class of the first image.

    Args:
        groups: (images,), the same value for images of one patient.
        labels: int (images,), the class of each image.
        shares: above 0 and at most 1.
        rng: draws the order of the patients.

    Returns:
        For each share the indices of its images, ascending.
    """
    _, first, patient = np.unique(groups, return_index=True, return_inverse=True)
    position, total = np.empty(len(first)), np.empty(len(first))  # of each patient, among those of the class
    for label in np.unique(labels[first]):
        members = np.flatnonzero(labels[first] == label)
        position[rng.permutation(members)] = np.arange(len(members))
        total[members] = len(members)
    return [np.flatnonzero((position < np.maximum(1, np.rint(share * total)))[patient]) for share in shares]
