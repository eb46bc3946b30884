"""A site: the features and classes of its own images, which stay there."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from bonexray.base.errors import BonexrayError
from bonexray.data.folds import FIRST, split_in
from bonexray.data.manifest import class_numbers, read_classes, read_manifest
from bonexray.data.paths import FEATURES
from bonexray.federate.recipe import federated_row, recipe_of
from bonexray.study import Settings

FEWEST = 10  # smallest number of training patients with which a site takes part: averages over fewer would tell of each


@dataclass(frozen=True, eq=False)
class Site:
    """The images of one site, in the order of a manifest.

    Attributes:
        recipe: of the model, see `recipe_of`.
        rows: a row of the manifest for each image, its split that of the first training.
        features: float64 (images, width), of the frozen backbones.
        labels: int (images,), indices of the class map.
    """

    recipe: Mapping[str, object]
    rows: pd.DataFrame
    features: np.ndarray
    labels: np.ndarray

    @property
    def classes(self) -> list[str]:
        """Return the class map."""
        return list(self.recipe["classes"])

    def of(self, split: str) -> "Site":
        """Return the images of one split."""
        return self.where((self.rows["split"] == split).to_numpy())

    def where(self, chosen: np.ndarray) -> "Site":
        """Return the images for which bool `chosen` (images,) is True."""
        rows = self.rows[chosen].reset_index(drop=True)
        return replace(self, rows=rows, features=self.features[chosen], labels=self.labels[chosen])

    @property
    def patients(self) -> int:
        """Return the number of patients."""
        return self.rows["group"].nunique()

    @property
    def takes_part(self) -> bool:
        """Return whether there are enough training patients, and validation images."""
        return self.of("train").patients >= FEWEST and len(self.of("val").labels) > 0


def open_site(settings: Settings, name: str) -> Site:
    """Return all images of the study in the working directory, as a model learns from them.

    Args:
        settings: of the study.
        name: of the model.

    Raises:
        BonexrayError: the model cannot be trained across sites, or its features are missing or of other images.
    """
    folders = federated_row(settings, name).features
    manifest, classes = read_manifest(), read_classes()
    features = np.concatenate([_features(folder, len(manifest)) for folder in folders], axis=1)
    rows = manifest.assign(split=split_in(manifest, FIRST.fold))
    return Site(recipe_of(settings, name), rows, features, class_numbers(rows["label"], classes))


def require_part(site: Site) -> None:
    """Refuse to take part with too few images.

    Raises:
        BonexrayError: there are fewer than `FEWEST` training patients, or no validation images.
    """
    if not site.takes_part:
        received = f"{site.of('train').patients} and {len(site.of('val').labels)}"
        expected = f"at least {FEWEST} training patients and 1 validation image"
        raise BonexrayError("data/split/manifest.csv", expected=expected, received=received, do="add images")


def _features(folder: Path, images: int) -> np.ndarray:
    features = np.load(folder / FEATURES, allow_pickle=False).astype(float)
    if len(features) != images:
        do = f"run `dvc repro features@{folder.name}`"
        raise BonexrayError(
            str(folder / FEATURES), expected=f"features of {images} images", received=len(features), do=do
        )
    return features
