"""What a model learns from: the outputs of earlier stages, and how they are fed to it."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from bonexray.augment.settings import Augment
from bonexray.data.arrays import ArrayFile
from bonexray.data.features_card import read_features_card
from bonexray.data.folds import Run, learners, split_in
from bonexray.data.manifest import class_numbers, read_classes, read_manifest
from bonexray.data.paths import FEATURES, IMAGES, VIEWS
from bonexray.registry import FINE_TUNE, FROZEN, SCRATCH
from bonexray.train.batches import Batches, Reader, augmented_features, augmented_images, images, stored
from bonexray.train.objective import targets_of
from bonexray.train.settings import ModelRow, Train


@dataclass(frozen=True)
class Cohort:
    """Images or features in files, with labels and splits in the manifest's order.

    Attributes:
        views: whether augmented copies of features are drawn where there are some.
    """

    manifest: pd.DataFrame
    classes: list[str]
    row: ModelRow
    train: Train
    augment: Augment
    views: bool = True

    def in_run(self, run: Run) -> "Cohort":
        """The same cohort with the splits of a run's fold and the seeds of its repeat."""
        later = run.repeat - 1
        return replace(
            self,
            manifest=self.manifest.assign(split=split_in(self.manifest, run.fold)),
            train=self.train.model_copy(update={"seed": self.train.seed + later}),
            augment=self.augment.model_copy(update={"seed": self.augment.seed + later}),
        )

    @property
    def labels(self) -> np.ndarray:
        """int (images,), places in the class map."""
        return class_numbers(self.manifest["label"], self.classes)

    @property
    def learns_from_images(self) -> bool:
        """Whether training backpropagates through convolutions."""
        return self.row.mode != FROZEN

    @property
    def files(self) -> list[Path]:
        """The arrays that training reads."""
        features = self.row.features if self.row.mode in (FROZEN, FINE_TUNE) else []
        arrays = [folder / name for folder in features for name in (FEATURES, VIEWS)]
        return [file for file in arrays if file.exists()] + ([IMAGES] if self.learns_from_images else [])

    @property
    def definition(self) -> list[str]:
        """Its rows in the table of models, in words: of its backbones, or of the network from scratch."""
        cards = [read_features_card(folder) for folder in self.row.features]
        return [card["row"] for card in cards] or [f"{self.row.inputs[0]}, heat maps from {self.row.heat_map}"]

    @property
    def starts_from(self) -> str:
        """Where training starts: `scratch`, or the origins of the backbones' weights."""
        cards = [read_features_card(folder) for folder in self.row.features]
        return " and ".join(dict.fromkeys(card["starts_from"] for card in cards)) or SCRATCH

    def rows(self, split: str | None) -> np.ndarray:
        """The rows of one split, or all of them."""
        return np.flatnonzero(self.manifest["split"] == split) if split else np.arange(len(self.manifest))

    def images(self, split: str | None, *, learning: bool = False) -> Batches:
        """Batches of images; when learning, shuffled and each in another view every epoch."""
        array = ArrayFile(IMAGES)
        return self._batches([augmented_images(array, self.augment) if learning else images(array)], split, learning)

    def features(self, split: str | None, *, learning: bool = False) -> Batches:
        """Batches of features; when learning, shuffled and where there are augmented copies of one of these."""
        return self._batches([self._features(folder, learning) for folder in self.row.features], split, learning)

    def _features(self, folder: Path, learning: bool) -> Reader:
        if learning and self.views and (folder / VIEWS).exists():
            return augmented_features(
                ArrayFile(folder / VIEWS), np.flatnonzero(learners(self.manifest)), self.train.seed
            )
        return stored(ArrayFile(folder / FEATURES))

    def _batches(self, readers: list[Reader], split: str | None, learning: bool) -> Batches:
        targets = targets_of(self.labels, len(self.classes), self.train)
        seed = self.train.seed if learning else None
        return Batches(readers, targets, self.rows(split), self.train.batch_images, seed)


def open_cohort(row: ModelRow, train: Train, augment: Augment) -> Cohort:
    """Open what a model of the study is trained on.

    Args:
        row: of the study: its mode and the outputs of earlier stages.
        train: batch, output and seed.
        augment: how training images may be moved about.
    """
    return Cohort(read_manifest(), read_classes(), row, train, augment)
