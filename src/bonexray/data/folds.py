"""Cross-validation and repeats: which trainings a study has of each model, and what each of them may see."""

from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True, order=True)
class Run:
    """One training of a model.

    Attributes:
        repeat: from 1; each repeat has a seed of its own.
        fold: from 1, the fold that is tested; 1 in a study without folds.
    """

    repeat: int = 1
    fold: int = 1

    @property
    def name(self) -> str:
        """As a folder is called."""
        return f"repeat-{self.repeat}-fold-{self.fold}"


FIRST = Run()


def folds_of(manifest: pd.DataFrame) -> int:
    """How many folds a manifest has; 1 where it has one split for good."""
    return 1 if (manifest["fold"] == "").all() else int(manifest["fold"].astype(int).max())


def runs_of(manifest: pd.DataFrame, repeats: int) -> list[Run]:
    """Every training of a model, the first one first."""
    return [Run(repeat, fold) for repeat in range(1, repeats + 1) for fold in range(1, folds_of(manifest) + 1)]


def split_in(manifest: pd.DataFrame, fold: int) -> pd.Series:
    """The split of every image when a fold is tested: the next fold is validation, all others are training.

    Args:
        manifest: with folds from 1, or without.
        fold: the one that is tested.
    """
    folds = folds_of(manifest)
    if folds == 1:
        return manifest["split"]
    return splits_of_folds(manifest["fold"].astype(int), folds, fold)


def splits_of_folds(fold: pd.Series, folds: int, tested: int) -> pd.Series:
    """The split of every image by its own fold, from 1 to `folds`, when one of them is tested."""
    names = np.array(["test", "val", *["train"] * (folds - 2)], dtype=object)
    return pd.Series(names[(fold - tested) % folds], index=fold.index)


def learners(manifest: pd.DataFrame) -> np.ndarray:
    """bool (images,): the images from which some training learns."""
    return np.full(len(manifest), True) if folds_of(manifest) > 1 else (manifest["split"] == "train").to_numpy()
