"""The search space: a table of settings with their ranges, and the settings that a trial chooses from it."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from optuna.trial import Trial

from bonexray.augment.settings import Augment
from bonexray.features.settings import Features
from bonexray.networks.heads import HEADS
from bonexray.registry import FINE_TUNE, FROZEN, FULL, SCRATCH, model_row
from bonexray.study import Settings
from bonexray.train.settings import ModelRow, Train

Value = float | int | str
Changes = Mapping[str, Value]  # a setting's full name to its value


@dataclass(frozen=True)
class SearchTarget:
    """A model whose settings are searched, and the facts that decide which of them.

    Attributes:
        settings: settings of the study, where the search starts.
        model: name of the model.
        copies: number of augmented copies among its features on disk.
    """

    settings: Settings
    model: str
    copies: int = 0

    @property
    def row(self) -> ModelRow:
        """Return the model's row in the study."""
        return self.settings.models[self.model]

    def present(self, setting: str) -> Value:
        """Return the study's value of a setting."""
        section, key = setting.split(".")
        tuned = self.row.fine_tune if section == FINE_TUNE else getattr(self.settings, section)
        return getattr(tuned, key)


@dataclass(frozen=True)
class Categories:
    """Unordered values."""

    values: tuple[Value, ...]

    def suggest(self, trial: Trial, setting: str, present: Value) -> Value:
        """Suggest one of the values or the study's own."""
        return trial.suggest_categorical(setting, list(dict.fromkeys([*self.values, present])))


@dataclass(frozen=True)
class Steps:
    """Values from `low` to `high`, `step` apart."""

    low: float
    high: float
    step: float

    def suggest(self, trial: Trial, setting: str, present: Value) -> Value:
        """Suggest a value without binary rounding: 0.15, not 0.15000000000000002."""
        return round(trial.suggest_float(setting, self.low, self.high, step=self.step), 6)


@dataclass(frozen=True)
class Magnitudes:
    """Values of two significant digits from `low` to `high`, log-uniform."""

    low: float
    high: float

    def suggest(self, trial: Trial, setting: str, present: Value) -> Value:
        """Suggest a value of two significant digits; the range includes the study's own."""
        low, high = min(self.low, float(present)), max(self.high, float(present))
        value = trial.suggest_float(setting, low, high, log=True)
        return round(value, 1 - math.floor(math.log10(value)))


def _always(target: SearchTarget, chosen: Changes) -> bool:
    return True


def _head_is_free(target: SearchTarget, chosen: Changes) -> bool:
    return model_row(target.model).head is None


def _head_drops_out(part: str) -> Callable[[SearchTarget, Changes], bool]:
    def applies(target: SearchTarget, chosen: Changes) -> bool:
        return part in HEADS[model_row(target.model).head or chosen["train.head"]]

    return applies


def _has_copies(target: SearchTarget, chosen: Changes) -> bool:
    return target.copies > 0


def _draws_views_itself(target: SearchTarget, chosen: Changes) -> bool:
    """Return True unless the trial uses copies on disk, whose ranges are fixed."""
    return not chosen.get("features.copies", 0)


@dataclass(frozen=True)
class Dimension:
    """A setting that is searched.

    Attributes:
        setting: its full name.
        modes: modes of training that use it.
        values: its range.
        applies: whether to search it, given the target and the trial's earlier choices.
    """

    setting: str
    modes: tuple[str, ...]
    values: Categories | Steps | Magnitudes
    applies: Callable[[SearchTarget, Changes], bool] = _always


HEADED, FROM_FEATURES, FROM_IMAGES = (FROZEN, FINE_TUNE, FULL), (FROZEN, FINE_TUNE), (SCRATCH, FINE_TUNE, FULL)
SPACE = (
    Dimension("train.head", HEADED, Categories(("standard", "bare")), _head_is_free),
    Dimension("train.learning_rate", (SCRATCH, FROZEN, FINE_TUNE), Magnitudes(1e-4, 1e-2)),
    Dimension("train.learning_rate", (FULL,), Magnitudes(1e-5, 1e-3)),
    Dimension("fine_tune.learning_rate", (FINE_TUNE,), Magnitudes(1e-5, 1e-3)),
    Dimension("train.dropout", HEADED, Steps(0.0, 0.7, 0.05), _head_drops_out("dropout")),
    Dimension("train.dropout_2", HEADED, Steps(0.0, 0.7, 0.05), _head_drops_out("dropout_2")),
    Dimension("features.copies", FROM_FEATURES, Categories((0,)), _has_copies),  # none, or all that are on disk
    Dimension("augment.rotation_deg", FROM_IMAGES, Steps(0.0, 15.0, 2.5), _draws_views_itself),
    Dimension("augment.shift", FROM_IMAGES, Steps(0.0, 0.1, 0.01), _draws_views_itself),
    Dimension("augment.zoom", FROM_IMAGES, Steps(0.0, 0.2, 0.02), _draws_views_itself),
)


def suggest(trial: Trial, target: SearchTarget) -> dict[str, Value]:
    """Let a trial choose a value for every searched setting."""
    return _chosen(target, lambda row, present: row.values.suggest(trial, row.setting, present))


def present_values(target: SearchTarget) -> dict[str, Value]:
    """Return the study's own value of every searched setting."""
    return _chosen(target, lambda row, present: present)


def _chosen(target: SearchTarget, choose: Callable[[Dimension, Value], Value]) -> dict[str, Value]:
    chosen: dict[str, Value] = {}
    for row in SPACE:
        if target.row.mode in row.modes and row.applies(target, chosen):
            chosen[row.setting] = choose(row, target.present(row.setting))
    return chosen


def space_card(mode: str) -> dict[str, str]:
    """Describe the search space of a mode, as a part of a search's fingerprint."""
    return {dimension.setting: repr(dimension.values) for dimension in SPACE if mode in dimension.modes}


def with_changes(target: SearchTarget, changes: Changes) -> tuple[ModelRow, Train, Augment, Features]:
    """Return the settings of a training with some of them changed."""
    sections: dict[str, dict[str, Value]] = {}
    for setting, value in changes.items():
        section, key = setting.split(".")
        sections.setdefault(section, {})[key] = value
    row, settings = target.row, target.settings
    if row.fine_tune is not None:
        tuned = row.fine_tune.model_copy(update=sections.get(FINE_TUNE, {}))
        row = row.model_copy(update={FINE_TUNE: tuned})
    train = settings.train.model_copy(update=sections.get("train", {}))
    augment = settings.augment.model_copy(update=sections.get("augment", {}))
    return row, train, augment, settings.features.model_copy(update=sections.get("features", {}))
