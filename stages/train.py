"""Train one model, keep its best weights, and its probabilities for every image of every split."""

import logging

from bonexray.config import Settings
from bonexray.evaluation.predictions import PREDICTIONS, write_predictions
from bonexray.models.registry import model_row
from bonexray.outputs import whole_folder, write_json
from bonexray.stage import run_stage
from bonexray.tracking import live_run
from bonexray.training.fit import probabilities
from bonexray.training.runtime import learns_from_images, prepare_runtime
from bonexray.training.train import model_card, open_cohort, train_model

log = logging.getLogger("bonexray")


def main(settings: Settings, name: str) -> None:
    """Write models/<name>/: model.json, model.weights.h5, history.csv and predictions.csv."""
    options = settings.train
    one_thread = learns_from_images(model_row(name))
    prepare_runtime(options.seed, deterministic=options.deterministic, one_thread=one_thread)
    cohort = open_cohort(settings.models[name])
    card = model_card(name, cohort, options)
    with whole_folder(f"models/{name}") as folder, live_run(settings, card) as run:

        def on_epoch(number: int, metrics: dict[str, float]) -> None:
            log.info(
                "epoch %2d/%d  %s",
                number,
                options.epochs,
                "  ".join(f"{k} {v:.4g}" for k, v in metrics.items()),
            )
            run.epoch(number, metrics)

        network, history = train_model(card, cohort, options, folder, on_epoch)
        write_json(folder / "model.json", {**card, "parameters": network.count_params()})
        history.to_csv(folder / "history.csv", index=False, lineterminator="\n")
        answers = probabilities(network, cohort.batches(None, options.batch_images))
        write_predictions(folder / PREDICTIONS, cohort.manifest, answers, cohort.classes)


if __name__ == "__main__":
    run_stage(main)
