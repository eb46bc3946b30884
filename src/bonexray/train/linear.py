"""The linear head: a penalised logistic or ordinal regression on cached features, without Keras."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from bonexray.augment.settings import Augment
from bonexray.data.paths import MODEL_WEIGHTS, PENALTY
from bonexray.networks.linear_weights import write_linear_weights
from bonexray.networks.outputs import class_probabilities
from bonexray.networks.scaling import mean_and_std
from bonexray.networks.settings import LINEAR
from bonexray.registry import FROZEN
from bonexray.train.batches import Batches
from bonexray.train.cohort import Cohort, open_cohort
from bonexray.train.recorded import EpochListener, Recorded
from bonexray.train.regression import (
    Labelled,
    LinearFit,
    best_of,
    choice_among,
    fit_strengths,
    metrics_of,
    probabilities_of,
)
from bonexray.train.runs import Outcome, train_runs
from bonexray.train.settings import ModelRow, Train


@dataclass(frozen=True)
class LinearHead:
    """A fitted head.

    Attributes:
        scaling: mean and standard deviation of each training feature, float32 (width,); None without standardisation.
        fits: the regression of each strength on standardised features.
        history: one row for each strength, from weak to strong, with the columns of a history of epochs.
    """

    scaling: tuple[np.ndarray, np.ndarray] | None
    fits: list[LinearFit]
    history: pd.DataFrame

    @property
    def classes(self) -> tuple[np.ndarray, np.ndarray]:
        """Return kernel and bias of the chosen strength as the class layer keeps them, float32."""
        kernel, bias = best_of(self.fits).weights
        return kernel.astype(np.float32), bias.astype(np.float32)

    @property
    def choice(self) -> dict[str, object]:
        """Return what was chosen on validation, see `choice_of`."""
        return choice_among(self.fits)

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """Return the class probabilities (images, classes) for features (images, width)."""
        return probabilities_of(self.classes, scaled(features, self.scaling), best_of(self.fits).output)


def is_linear(row: ModelRow, options: Train) -> bool:
    """Return True if training a model means fitting a linear head to cached features."""
    return row.mode == FROZEN and (row.head or options.head) == LINEAR


def train_linear_head(name: str, row: ModelRow, options: Train, augment: Augment, recorded: Recorded) -> None:
    """Write models/<name>/ as `train_runs` does, without loading Keras."""
    train_runs(name, open_cohort(row, options, augment), recorded, train_head)


def train_head(name: str, cohort: Cohort, folder: Path, on_epoch: EpochListener) -> Outcome:
    """Fit the head, write its weights and predict every image."""
    head = fit_linear_head(cohort)
    tell(head.history, on_epoch)
    write_linear_weights(folder / MODEL_WEIGHTS, head.classes, head.scaling, cohort.train.output)
    kernel, bias = head.classes
    probabilities = [head.probabilities(features) for features in _inputs(cohort.features(None))]
    parameters = kernel.size + bias.size + sum(values.size for values in head.scaling or ())
    return Outcome(head.history, head.choice, np.concatenate(probabilities), parameters, kernel.size)


def fit_linear_head(cohort: Cohort) -> LinearHead:
    """Fit a regression of every strength to the features of the training split.

    Args:
        cohort: the features, their splits and the settings; augmented copies of features are not used.
    """
    train, output = cohort.features("train"), cohort.train.output
    scaling = scaling_of(_inputs(train)) if cohort.train.standardize else None
    training, validation = (_labelled(batches, scaling) for batches in (train, cohort.features("val")))
    fits = fit_strengths(training, validation, len(cohort.classes), cohort.class_weight, output=output)
    rows = [
        {"epoch": number, "phase": PENALTY, **metrics_of(fit, training, validation)}
        for number, fit in enumerate(fits, 1)
    ]
    return LinearHead(scaling, fits, pd.DataFrame(rows))


def tell(history: pd.DataFrame, on_epoch: EpochListener) -> None:
    """Report each row of a finished history as if its epoch had just ended."""
    for row in history.to_dict("records"):
        on_epoch(row["epoch"], {key: value for key, value in row.items() if key not in ("epoch", "phase")})


def scaling_of(batches: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of each feature, see `mean_and_std`, as the weights file keeps them: float32."""
    mean, std = mean_and_std(batches)
    return mean.astype(np.float32), std.astype(np.float32)


def scaled(features: np.ndarray, scaling: tuple[np.ndarray, np.ndarray] | None) -> np.ndarray:
    """Return features (images, width) standardised by `scaling`, if it is given, as float64."""
    features = features.astype(np.float64)
    if scaling is None:
        return features
    mean, std = (values.astype(np.float64) for values in scaling)
    return (features - mean) / std


def _labelled(batches: Batches, scaling: tuple[np.ndarray, np.ndarray] | None) -> Labelled:
    targets = np.concatenate([batches[number][1] for number in range(len(batches))])
    return Labelled(scaled(np.concatenate(list(_inputs(batches))), scaling), class_probabilities(targets))


def _inputs(batches: Batches) -> Iterator[np.ndarray]:
    """Yield the features of each batch, those of several backbones side by side."""
    for number in range(len(batches)):
        inputs = batches[number][0]
        yield np.concatenate(inputs, axis=1) if isinstance(inputs, tuple) else inputs
