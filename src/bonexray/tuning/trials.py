"""One trial: a training with some settings changed, scored on validation, and what is known of it afterwards."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import optuna

from bonexray.data.folds import FIRST
from bonexray.errors import BonexrayError
from bonexray.runtime import start_anew
from bonexray.train.cohort import Cohort, open_cohort
from bonexray.train.fit import Diverged
from bonexray.train.objective import MONITOR
from bonexray.train.training import train_model
from bonexray.tuning.space import Changes, Searched, Value, with_changes

FINISHED, PRUNED = "finished", "pruned"
Row = Mapping[str, float]


@dataclass(frozen=True)
class Trial:
    """A trial that has ended.

    Attributes:
        number: from 0, the study's own settings.
        state: `finished`, or `pruned` where it was given up before its end.
        changes: the settings that were tried.
        history: one row an epoch: epoch, loss, accuracy, val_loss, val_accuracy, learning_rate.
    """

    number: int
    state: str
    changes: Mapping[str, Value]
    history: tuple[Row, ...]

    @property
    def best(self) -> Row:
        """The epoch that training keeps: the first of those with the lowest validation loss."""
        return min(self.history, key=lambda row: row[MONITOR])

    @property
    def score(self) -> float:
        """What is minimised, the lowest validation loss; infinite where no epoch came to its end."""
        return self.best[MONITOR] if self.history else math.inf


def best_of(trials: list[Trial]) -> Trial:
    """The finished trial with the lowest validation loss, of equal ones the earliest.

    Raises:
        BonexrayError: none was finished.
    """
    finished = [trial for trial in trials if trial.state == FINISHED]
    if not finished:
        raise BonexrayError(
            "the trials",
            expected="one that comes to its end",
            received=f"{len(trials)} whose loss is no number any more",
            do="give more --trials, or lower train.learning_rate",
        )
    return min(finished, key=lambda trial: trial.score)


def cohort_with(searched: Searched, changes: Changes) -> Cohort:
    """What the model's first training reads when some settings are changed."""
    row, train, augment, features = with_changes(searched, changes)
    return replace(open_cohort(row, train, augment), views=features.copies > 0).in_run(FIRST)


def attempt(searched: Searched, number: int, changes: Changes, is_hopeless: Callable[[int, float], bool]) -> Trial:
    """Train the model as its stage would, on training and validation images; no test image is read.

    Args:
        searched: model and settings.
        number: of the trial.
        changes: settings that differ from the study's.
        is_hopeless: told after each epoch its number and the lowest validation loss so far; whether to give up.

    Returns:
        The trial; one whose loss is not a number any more is given up as well.
    """
    cohort, history = cohort_with(searched, changes), []

    def on_epoch(epoch: int, metrics: dict[str, float]) -> None:
        history.append({"epoch": epoch, **metrics})
        if is_hopeless(epoch, min(row[MONITOR] for row in history)):
            raise optuna.TrialPruned

    start_anew(cohort.train.seed)
    state = FINISHED
    try:
        with TemporaryDirectory() as folder:
            train_model(searched.model, cohort, Path(folder), on_epoch)
    except (optuna.TrialPruned, Diverged):
        state = PRUNED
    return Trial(number, state, changes, tuple(history))
