"""The trainings of a network: one for each repeat and fold."""

import logging
from pathlib import Path

import numpy as np

from bonexray.augment.settings import Augment
from bonexray.base.files import atomic_folder, write_json
from bonexray.data.folds import FIRST, Run, runs_of
from bonexray.data.paths import HISTORY, MODEL_CARD, MODEL_WEIGHTS, PREDICTIONS, model_folder
from bonexray.data.predictions import write_predictions
from bonexray.registry import FROZEN
from bonexray.runtime import prepare_runtime, start_anew
from bonexray.train.cohort import Cohort, open_cohort
from bonexray.train.fit import probabilities
from bonexray.train.recorded import Recorded
from bonexray.train.settings import ModelRow, Train
from bonexray.train.training import Trained, cost, model_card, train_model

log = logging.getLogger("bonexray")


def train_network(name: str, row: ModelRow, options: Train, augment: Augment, recorded: Recorded) -> None:
    """Write models/<name>/: model.json, predictions.csv and the first training's model.weights.h5 and history.csv.

    Further trainings write to models/<name>/repeat-<r>-fold-<f>/.
    """
    prepare_runtime(
        options.seed, deterministic=options.deterministic, mode=row.mode, mixed_precision=options.mixed_precision
    )
    cohort = open_cohort(row, options, augment)
    card = model_card(name, cohort)
    with atomic_folder(model_folder(name)) as folder:
        predictions = {}
        for run in runs_of(cohort.manifest, options.repeats):
            run_folder = folder if run == FIRST else folder / run.name
            run_folder.mkdir(exist_ok=True)
            trained, predictions[run] = train_once(card, cohort, run, run_folder, recorded)
            if run == FIRST:
                choice = trained.choice
        write_json(folder / MODEL_CARD, {**card, **cost(trained.network, cohort, folder / MODEL_WEIGHTS), **choice})
        write_predictions(folder / PREDICTIONS, cohort.manifest, predictions, cohort.classes)


def train_once(
    card: dict[str, object], cohort: Cohort, run: Run, folder: Path, recorded: Recorded
) -> tuple[Trained, np.ndarray]:
    """Train once and return the training and its probabilities for every image.

    Args:
        card: identifies the training.
        cohort: the data of all trainings of the model, from which the run's own splits and seeds are taken.
        run: the repeat and the fold.
        folder: where the weights and the history are written.
        recorded: gives the context that records the training.
    """
    cohort = cohort.in_run(run)
    if run != FIRST:
        log.info("repeat %d, fold %d", run.repeat, run.fold)
        start_anew(cohort.train.seed)
    with recorded(card, run) as record:

        def on_epoch(number: int, metrics: dict[str, float]) -> None:
            step = f"penalty {metrics['strength']:g}" if "strength" in metrics else f"epoch {number:2d}"
            log.info("%s  %s", step, "  ".join(f"{k} {v:.4g}" for k, v in metrics.items()))
            record.epoch(number, metrics)

        trained = train_model(str(card["model"]), cohort, folder, on_epoch)
        trained.history.to_csv(folder / HISTORY, index=False, lineterminator="\n")
    batches = cohort.features(None) if cohort.row.mode == FROZEN else cohort.images(None)
    return trained, probabilities(trained.network, batches)
