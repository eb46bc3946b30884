"""Refuse clinical variables that define the class: with them, a model would read the answer."""

import re
from itertools import combinations

import numpy as np
import pandas as pd

from bonexray.base.errors import BonexrayError
from bonexray.dataset.settings import Dataset

SEPARATES = 0.98  # area between two classes, a mean over pairs, above which a column alone is the class
FEWEST = 5  # images of a class; fewer are separated by chance
_NAME = re.compile(
    r"(|.*(neck|hip|spine|total|lowest))([tz]score|bmd|bmc)(.*)|kl|klgrade|kellgren.*|(true)?(label|class|diagnosis|grade)"
)


def require_no_definition(dataset: Dataset) -> None:
    """Refuse clinical variables whose names say that the class is derived from them."""
    labels = [dataset.label_column] if isinstance(dataset.label_column, str) else dataset.label_column
    for name in dataset.clinical:
        letters = re.sub(r"[\W_]+", "", name.casefold())
        if name not in dataset.clinical_trusted and (_NAME.fullmatch(letters) or name in labels):
            raise _refused(name, "a column that is named like the class or what defines it")


def require_no_separation(dataset: Dataset, record: pd.DataFrame, labels: np.ndarray, train: np.ndarray) -> None:
    """Refuse clinical variables that tell the classes of training nearly without error.

    Args:
        dataset: with the names of the variables, and of those that are trusted.
        record: of all images, as `read_record` returns it.
        labels: (images,), names of the classes.
        train: bool (images,), True for the training split.
    """
    for name in dataset.clinical:
        if name in dataset.clinical_trusted:
            continue
        area = separation(record[name].to_numpy()[train], labels[train])
        if area > SEPARATES:
            raise _refused(name, f"one that alone separates the classes in training with an AUC of {area:.3f}")


def separation(values: np.ndarray, labels: np.ndarray) -> float:
    """Return how well a column tells two classes apart, as a mean over pairs of classes; 0.5 for not at all.

    Args:
        values: (images,), float with NaN, or text, whose order is that of the share of the second class.
        labels: (images,).

    References:
        Hand and Till, A Simple Generalisation of the Area Under the ROC Curve, Machine Learning 45, 2001.
    """
    areas = []
    for one, other in combinations(sorted(set(labels)), 2):
        kept = np.isin(labels, [one, other])
        positive, own = labels[kept] == other, values[kept]
        if own.dtype.kind != "f":
            shares = pd.Series(positive).groupby(own).mean()
            own = shares.loc[own].to_numpy()
        known = ~np.isnan(own)
        positive, ranks = positive[known], pd.Series(own[known]).rank().to_numpy()
        pairs = positive.sum() * (~positive).sum()
        if min(positive.sum(), (~positive).sum()) >= FEWEST:
            area = (ranks[positive].sum() - positive.sum() * (positive.sum() + 1) / 2) / pairs
            areas.append(max(area, 1 - area))
    return float(np.mean(areas)) if areas else 0.5


def _refused(name: str, received: str) -> BonexrayError:
    return BonexrayError(
        f"dataset.clinical: column {name!r}",
        expected="a variable that is known before the diagnosis",
        received=received,
        do="leave it out, or add it to dataset.clinical_trusted if it does not define the class",
    )
