"""The trainings of a model of the study: one for each repeat and fold."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from bonexray.base.files import atomic_folder, write_json
from bonexray.data.folds import FIRST, Run, runs_of
from bonexray.data.paths import HISTORY, MODEL_CARD, MODEL_WEIGHTS, PREDICTIONS, model_folder
from bonexray.data.predictions import write_predictions
from bonexray.train.card import cost, model_card
from bonexray.train.cohort import Cohort
from bonexray.train.recorded import EpochListener, Recorded

log = logging.getLogger("bonexray")


class Outcome(NamedTuple):
    """The results of a training besides its weights file.

    Attributes:
        history: one row per epoch, or per penalty of a linear head.
        choice: what was chosen on validation before or during training, see `choice_of`; empty if nothing was.
        probabilities: for every image, (images, classes).
        parameters: number of weights in the file.
        multiply_adds: number for one image, in the layers whose weights are in the file.
    """

    history: pd.DataFrame
    choice: dict[str, object]
    probabilities: np.ndarray
    parameters: int
    multiply_adds: int


# Trains the named model on a cohort, writes its weights to a folder, and reports each epoch.
TrainOne = Callable[[str, Cohort, Path, EpochListener], Outcome]


def train_runs(name: str, cohort: Cohort, recorded: Recorded, train_one: TrainOne) -> None:
    """Write models/<name>/: model.json, predictions.csv and the first training's model.weights.h5 and history.csv.

    Further trainings write to models/<name>/repeat-<r>-fold-<f>/.

    Args:
        name: a key of `REGISTRY`.
        cohort: the data of all trainings.
        recorded: opens the record of a training.
        train_one: trains once.
    """
    card = model_card(name, cohort)
    with atomic_folder(model_folder(name)) as folder:
        outcomes = {}
        for run in runs_of(cohort.manifest, cohort.train.repeats):
            run_folder = folder if run == FIRST else folder / run.name
            run_folder.mkdir(exist_ok=True)
            outcomes[run] = train_once(card, cohort, run, run_folder, recorded, train_one)
        first = outcomes[FIRST]
        costs = cost(first.parameters, first.multiply_adds, cohort, folder / MODEL_WEIGHTS)
        write_json(folder / MODEL_CARD, {**card, **costs, **first.choice})
        answers = {run: outcome.probabilities for run, outcome in outcomes.items()}
        write_predictions(folder / PREDICTIONS, cohort.manifest, answers, cohort.classes)


def train_once(
    card: dict[str, object], cohort: Cohort, run: Run, folder: Path, recorded: Recorded, train_one: TrainOne
) -> Outcome:
    """Train once, and write the weights and the history.

    Args:
        card: identifies the training.
        cohort: the data of all trainings of the model, from which the run's own splits and seeds are taken.
        run: the repeat and the fold.
        folder: where the weights and the history are written.
        recorded: opens the record of the training.
        train_one: trains once.
    """
    if run != FIRST:
        log.info("repeat %d, fold %d", run.repeat, run.fold)
    with recorded(card, run) as record:

        def on_epoch(number: int, metrics: dict[str, float]) -> None:
            step = f"penalty {metrics['strength']:g}" if "strength" in metrics else f"epoch {number:2d}"
            log.info("%s  %s", step, "  ".join(f"{k} {v:.4g}" for k, v in metrics.items()))
            record.epoch(number, metrics)

        outcome = train_one(str(card["model"]), cohort.in_run(run), folder, on_epoch)
        outcome.history.to_csv(folder / HISTORY, index=False, lineterminator="\n")
    return outcome
