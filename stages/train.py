"""Train one model, keep its best weights, and its probabilities for every image of every split."""

import logging

from bonexray.config import Settings
from bonexray.data.predictions import PREDICTIONS, write_predictions
from bonexray.models.registry import FROZEN
from bonexray.outputs import whole_folder, write_json
from bonexray.stage import run_stage
from bonexray.tracking import live_run
from bonexray.training.cohort import open_cohort
from bonexray.training.fit import probabilities
from bonexray.training.runtime import prepare_runtime
from bonexray.training.train import model_card, train_model

log = logging.getLogger("bonexray")


def main(settings: Settings, name: str) -> None:
    """Write models/<name>/: model.json, model.weights.h5, history.csv and predictions.csv."""
    options, row = settings.train, settings.models[name]
    prepare_runtime(
        options.seed, deterministic=options.deterministic, mode=row.mode, mixed_precision=options.mixed_precision
    )
    cohort = open_cohort(row, options, settings.augment)
    card = model_card(name, cohort)
    with whole_folder(f"models/{name}") as folder, live_run(settings, card) as run:

        def on_epoch(number: int, metrics: dict[str, float]) -> None:
            log.info("epoch %2d  %s", number, "  ".join(f"{k} {v:.4g}" for k, v in metrics.items()))
            run.epoch(number, metrics)

        network, history = train_model(name, cohort, folder, on_epoch)
        write_json(folder / "model.json", {**card, "parameters": network.count_params()})
        history.to_csv(folder / "history.csv", index=False, lineterminator="\n")
        batches = cohort.features(None) if row.mode == FROZEN else cohort.images(None)
        write_predictions(folder / PREDICTIONS, cohort.manifest, probabilities(network, batches), cohort.classes)


if __name__ == "__main__":
    run_stage(main)
