"""Exchange the subgroups of patients who have the same classes."""

import numpy as np
import pandas as pd


def permuted(codes: np.ndarray, labels: np.ndarray, groups: np.ndarray, times: int, seed: int) -> np.ndarray:
    """Return the subgroups of images after random exchanges among patients with the same classes.

    If a model treats all subgroups of a class alike, then exchanges within a class do not change the distribution of
    its scores, even if subgroups differ in their class shares. A patient's images move together. If a patient's images
    may be of several subgroups, such as two views, only patients with the same number of images are exchanged.

    Args:
        codes: int (images,), the subgroup of each image.
        labels: int (images,), the class.
        groups: (images,), the same value for images of one patient.
        times: number of exchanges.
        seed: of the exchanges.

    Returns:
        Int (1 + times, images): first the subgroups themselves, then a row for each exchange.

    References:
        Good, Permutation, Parametric, and Bootstrap Tests of Hypotheses, 2005.
    """
    rng = np.random.default_rng(seed)
    rows = pd.DataFrame({"code": codes, "label": labels, "group": groups})
    constant = (rows.groupby("group")["code"].nunique() == 1).all()
    result = np.tile(codes, (1 + times, 1))
    for images in _strata(rows, constant).values():
        order = rng.permuted(np.tile(np.arange(len(images)), (times, 1)), axis=1)
        if constant:
            firsts = codes[[patient[0] for patient in images]]
            for position, patient in enumerate(images):
                result[1:, patient] = firsts[order[:, position]][:, None]
        else:
            table = codes[np.array(images)]
            for position, patient in enumerate(images):
                result[1:, patient] = table[order[:, position]]
    return result


def _strata(rows: pd.DataFrame, constant: bool) -> dict[tuple, list[list[int]]]:
    """Return the images of each patient, by what patients must have in common to be exchanged."""
    strata: dict[tuple, list[list[int]]] = {}
    for _, patient in rows.groupby("group", sort=True):
        labels = tuple(patient["label"])
        key = tuple(sorted(set(labels))) if constant else labels
        strata.setdefault(key, []).append(list(patient.index))
    return strata
