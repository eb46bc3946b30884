"""The training data of a model: outputs of earlier stages, and batches of them."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.utils.class_weight import compute_class_weight

from bonexray.augment.settings import Augment
from bonexray.data.arrays import ArrayFile
from bonexray.data.features_card import read_features_card
from bonexray.data.folds import Run, learners, split_in
from bonexray.data.manifest import class_numbers, read_classes, read_manifest
from bonexray.data.paths import FEATURES, IMAGES, VIEWS
from bonexray.regions.files import MASKS, read_boxes
from bonexray.registry import FINE_TUNE, FROZEN, SCRATCH
from bonexray.train.batches import Batches, Reader, augmented_features, augmented_images, images, stored, targets_of
from bonexray.train.settings import ModelRow, Train


@dataclass(frozen=True)
class Cohort:
    """Images or features in files, with labels and splits in the manifest's order.

    Attributes:
        manifest: one row per image.
        classes: the class map.
        row: the model's mode and inputs.
        train: batch size, output and seed.
        augment: ranges of random views.
        views: whether training uses augmented copies of features if there are any.
    """

    manifest: pd.DataFrame
    classes: list[str]
    row: ModelRow
    train: Train
    augment: Augment
    views: bool = True

    def in_run(self, run: Run) -> "Cohort":
        """Return this cohort with the splits of a run's fold and the seeds of its repeat."""
        offset = run.repeat - 1
        return replace(
            self,
            manifest=self.manifest.assign(split=split_in(self.manifest, run.fold)),
            train=self.train.model_copy(update={"seed": self.train.seed + offset}),
            augment=self.augment.model_copy(update={"seed": self.augment.seed + offset}),
        )

    @property
    def labels(self) -> np.ndarray:
        """Return the labels as indices in the class map, int (images,)."""
        return class_numbers(self.manifest["label"], self.classes)

    @property
    def learns_from_images(self) -> bool:
        """Return True if training reads images and not only cached features."""
        return self.row.mode != FROZEN

    @property
    def files(self) -> list[Path]:
        """Return the arrays that training reads."""
        features = self.row.features if self.row.mode in (FROZEN, FINE_TUNE) else []
        arrays = [folder / name for folder in features for name in (FEATURES, VIEWS)]
        masks = [MASKS] if self.row.locator else []
        return [file for file in arrays if file.exists()] + ([IMAGES] if self.learns_from_images else []) + masks

    @property
    def definition(self) -> list[str]:
        """Describe the registry's rows of the backbones, or of the network from scratch."""
        cards = [read_features_card(folder) for folder in self.row.features]
        return [card["row"] for card in cards] or [f"{self.row.inputs[0]}, maps {self.row.heat_map}"]

    @property
    def starts_from(self) -> str:
        """Return `scratch`, or the origins of the backbones' starting weights."""
        cards = [read_features_card(folder) for folder in self.row.features]
        return " and ".join(dict.fromkeys(card["starts_from"] for card in cards)) or SCRATCH

    @property
    def conventions(self) -> dict[str, str]:
        """Return the convention of each backbone whose weights file states another one than the registry."""
        cards = [read_features_card(folder) for folder in self.row.features]
        return {card["backbone"]: card["convention"] for card in cards if "convention" in card}

    @property
    def class_weight(self) -> dict[int, float] | None:
        """Return the class weights of the training split, or None if the settings disable them."""
        return balanced_weights(self.labels[self.rows("train")]) if self.train.class_weights == "balanced" else None

    def rows(self, split: str | None) -> np.ndarray:
        """Return the rows of one split, or all rows."""
        return np.flatnonzero(self.manifest["split"] == split) if split else np.arange(len(self.manifest))

    def images(self, split: str | None, *, learning: bool = False) -> Batches:
        """Return batches of images; for learning, shuffled and as new random views each epoch."""
        array = ArrayFile(IMAGES)
        return self._batches([augmented_images(array, self.augment) if learning else images(array)], split, learning)

    def located(self, split: str, *, learning: bool = False) -> Batches:
        """Return batches of images with their masks and whether these are known, bool (images,); views are the same.

        An image without regions has an empty mask if its class never has regions; else it is not known where to look.
        """
        array, masks, located = ArrayFile(IMAGES), ArrayFile(MASKS), self.manifest["id"].isin(read_boxes()["id"])
        known = (located | ~self.manifest["label"].isin(self.manifest.loc[located, "label"])).to_numpy()
        read = (lambda file: augmented_images(file, self.augment)) if learning else images
        return self._batches([read(array), read(masks), lambda rows, _epoch: known[rows]], split, learning)

    def features(self, split: str | None, *, learning: bool = False) -> Batches:
        """Return batches of features; for learning, shuffled and of a random augmented copy if there are any."""
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


def balanced_weights(labels: np.ndarray) -> dict[int, float]:
    """Return weights that give every class the same total weight: images / (classes x images of the class)."""
    present = np.unique(labels)
    return {
        int(c): float(w)
        for c, w in zip(present, compute_class_weight("balanced", classes=present, y=labels), strict=True)
    }


def open_cohort(row: ModelRow, train: Train, augment: Augment) -> Cohort:
    """Open the training data of a model of the study.

    Args:
        row: the model's mode and inputs.
        train: batch size, output and seed.
        augment: ranges of random views.

    The model's own output replaces that of the settings.
    """
    train = train.model_copy(update={"output": row.output}) if row.output else train
    return Cohort(read_manifest(), read_classes(), row, train, augment)
