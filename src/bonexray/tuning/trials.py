"""Trials: trainings with some settings changed, scored on validation."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import optuna

from bonexray.base.errors import BonexrayError
from bonexray.data.folds import FIRST
from bonexray.runtime import start_anew
from bonexray.train.cohort import Cohort, open_cohort
from bonexray.train.fit import Diverged
from bonexray.train.objective import MONITOR
from bonexray.train.training import train_model
from bonexray.tuning.space import Changes, SearchTarget, Value, with_changes

FINISHED, PRUNED = "finished", "pruned"
Row = Mapping[str, float]


@dataclass(frozen=True)
class Trial:
    """A trial that has ended.

    Attributes:
        number: counted from 0, the trial of the study's own settings.
        state: `finished`, or `pruned` if it was stopped early.
        changes: the settings of the trial.
        history: one row per epoch: epoch, loss, accuracy, log_loss, the same with `val_`, learning_rate.
    """

    number: int
    state: str
    changes: Mapping[str, Value]
    history: tuple[Row, ...]

    @property
    def best(self) -> Row:
        """Return the first epoch with the lowest validation log loss, whose weights training keeps."""
        return min(self.history, key=lambda row: row[MONITOR])

    @property
    def score(self) -> float:
        """Return the lowest validation log loss, which the search minimises; infinity if no epoch was completed."""
        return self.best[MONITOR] if self.history else math.inf


def best_of(trials: list[Trial]) -> Trial:
    """Return the finished trial with the lowest validation log loss, the earliest of equals.

    Raises:
        BonexrayError: if no trial has finished.
    """
    finished = [trial for trial in trials if trial.state == FINISHED]
    if not finished:
        raise BonexrayError(
            "the trials",
            expected="at least one finished trial",
            received=f"{len(trials)} with a loss that is not finite",
            do="increase --trials, or lower train.learning_rate",
        )
    return min(finished, key=lambda trial: trial.score)


def cohort_with(target: SearchTarget, changes: Changes) -> Cohort:
    """Return the cohort of the model's first training with some settings changed."""
    row, train, augment, features = with_changes(target, changes)
    return replace(open_cohort(row, train, augment), views=features.copies > 0).in_run(FIRST)


def attempt(target: SearchTarget, number: int, changes: Changes, is_hopeless: Callable[[int, float], bool]) -> Trial:
    """Train the model as its stage would, on training and validation images; test images are not used.

    Args:
        target: model and settings.
        number: number of the trial.
        changes: settings that differ from the study's.
        is_hopeless: called after each epoch with its number and the lowest validation log loss so far; True stops it.

    Returns:
        The trial; it is pruned if its loss is not finite.
    """
    cohort, history = cohort_with(target, changes), []

    def on_epoch(epoch: int, metrics: dict[str, float]) -> None:
        history.append({"epoch": epoch, **metrics})
        if is_hopeless(epoch, min(row[MONITOR] for row in history)):
            raise optuna.TrialPruned

    start_anew(cohort.train.seed)
    state = FINISHED
    try:
        with TemporaryDirectory() as folder:
            train_model(target.model, cohort, Path(folder), on_epoch)
    except (optuna.TrialPruned, Diverged):
        state = PRUNED
    return Trial(number, state, changes, tuple(history))
