"""Train one model, once or once a fold and repeat; keep its best weights and its probabilities for every image."""

import logging
from pathlib import Path

import keras
import numpy as np

from bonexray.config import Settings
from bonexray.data.folds import FIRST, Run, runs_of
from bonexray.data.predictions import PREDICTIONS, write_predictions
from bonexray.models.registry import FROZEN
from bonexray.outputs import whole_folder, write_json
from bonexray.stage import run_stage
from bonexray.tracking.live import live_run
from bonexray.training.cohort import Cohort, open_cohort
from bonexray.training.fit import probabilities
from bonexray.training.runtime import prepare_runtime, start_anew
from bonexray.training.train import WEIGHTS, cost, model_card, train_model

log = logging.getLogger("bonexray")


def main(settings: Settings, name: str) -> None:
    """Write models/<name>/: model.json, predictions.csv and the first training's model.weights.h5 and history.csv.

    Those of further trainings stand in models/<name>/repeat-<r>-fold-<f>/.
    """
    options, row = settings.train, settings.models[name]
    prepare_runtime(
        options.seed, deterministic=options.deterministic, mode=row.mode, mixed_precision=options.mixed_precision
    )
    cohort = open_cohort(row, options, settings.augment)
    card = model_card(name, cohort)
    with whole_folder(f"models/{name}") as folder:
        answers = {}
        for run in runs_of(cohort.manifest, options.repeats):
            place = folder if run == FIRST else folder / run.name
            place.mkdir(exist_ok=True)
            network, answers[run] = train_once(settings, card, cohort.in_run(run), run, place)
        write_json(folder / "model.json", {**card, **cost(network, cohort, folder / WEIGHTS)})
        write_predictions(folder / PREDICTIONS, cohort.manifest, answers, cohort.classes)


def train_once(
    settings: Settings, card: dict[str, object], cohort: Cohort, run: Run, folder: Path
) -> tuple[keras.Model, np.ndarray]:
    """One training, logged to MLflow while it goes on; the network, and its probabilities for every image."""
    if run != FIRST:
        log.info("repeat %d, fold %d", run.repeat, run.fold)
        start_anew(cohort.train.seed)
    with live_run(settings, card, run) as record:

        def on_epoch(number: int, metrics: dict[str, float]) -> None:
            log.info("epoch %2d  %s", number, "  ".join(f"{k} {v:.4g}" for k, v in metrics.items()))
            record.epoch(number, metrics)

        network, history = train_model(str(card["model"]), cohort, folder, on_epoch)
        history.to_csv(folder / "history.csv", index=False, lineterminator="\n")
    batches = cohort.features(None) if cohort.row.mode == FROZEN else cohort.images(None)
    return network, probabilities(network, batches)


if __name__ == "__main__":
    run_stage(main)
