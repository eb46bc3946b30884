"""Cross-validation and repeats: the trainings of each model, and the splits of each training."""

from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True, order=True)
class Run:
    """One training of a model.

    Attributes:
        repeat: from 1; each repeat has its own seed.
        fold: the test fold, from 1; 1 in a study without folds.
    """

    repeat: int = 1
    fold: int = 1

    @property
    def name(self) -> str:
        """Name of the folder of this training."""
        return f"repeat-{self.repeat}-fold-{self.fold}"


FIRST = Run()


def folds_of(manifest: pd.DataFrame) -> int:
    """Return the number of folds of a manifest; 1 for a fixed split."""
    return 1 if (manifest["fold"] == "").all() else int(manifest["fold"].astype(int).max())


def runs_of(manifest: pd.DataFrame, repeats: int) -> list[Run]:
    """Return all trainings of a model, repeat by repeat."""
    return [Run(repeat, fold) for repeat in range(1, repeats + 1) for fold in range(1, folds_of(manifest) + 1)]


def split_in(manifest: pd.DataFrame, fold: int) -> pd.Series:
    """Return the split of every image when a fold is tested: the next fold validates, all others train.

    Args:
        manifest: with or without folds.
        fold: the test fold, from 1.
    """
    folds = folds_of(manifest)
    if folds == 1:
        return manifest["split"]
    return splits_of_folds(manifest["fold"].astype(int), folds, fold)


def splits_of_folds(fold: pd.Series, folds: int, tested: int) -> pd.Series:
    """Return the split of every image, given its fold (from 1 to `folds`) and the fold that is tested."""
    names = np.array(["test", "val", *["train"] * (folds - 2)], dtype=object)
    return pd.Series(names[(fold - tested) % folds], index=fold.index)


def learners(manifest: pd.DataFrame) -> np.ndarray:
    """Return bool (images,): True for an image that at least one training learns from."""
    return np.full(len(manifest), True) if folds_of(manifest) > 1 else (manifest["split"] == "train").to_numpy()
