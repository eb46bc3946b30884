"""Turn one model's probabilities into numbers and figures; no network is needed."""

import logging
from pathlib import Path

import pandas as pd

from bonexray.config import Settings
from bonexray.data.arrays import IMAGES, ArrayFile
from bonexray.data.manifest import read_classes, read_leak_suspect
from bonexray.data.predictions import PREDICTIONS, read_predictions
from bonexray.evaluation.evaluate import evaluate
from bonexray.models.registry import model_row
from bonexray.outputs import read_json, whole_folder, write_json
from bonexray.reporting.figures.curves import learning_curves
from bonexray.reporting.figures.one_model import draw_evaluation
from bonexray.stage import run_stage

COSTS = ("parameters", "multiply_adds", "file_mb")
log = logging.getLogger("bonexray")


def main(settings: Settings, name: str) -> None:
    """Write metrics/models/<name>.json, and the figures and tables in reports/models/<name>/."""
    source, classes, title = Path(f"models/{name}"), read_classes(), model_row(name).title
    card, history = read_json(source / "model.json"), pd.read_csv(source / "history.csv")
    evaluation = evaluate(
        *read_predictions(source / PREDICTIONS, classes), classes, settings.evaluate, settings.dataset.ordered
    )
    scores = {
        **evaluation.scores,
        **{cost: card[cost] for cost in COSTS},
        "epochs": len(history),
        "leak_suspect": read_leak_suspect(),
    }
    with whole_folder(f"reports/models/{name}") as folder:
        draw_evaluation(evaluation, name, title, classes, settings.evaluate.confidence, ArrayFile(IMAGES), folder)
        learning_curves(history, title, folder / f"{name}_evaluation_figure.png")
    write_json(f"metrics/models/{name}.json", scores)
    log.info(
        "balanced accuracy %.3f (%.3f to %.3f), n = %d%s",
        scores["balanced_accuracy"],
        scores["balanced_accuracy_low"],
        scores["balanced_accuracy_high"],
        scores["n"],
        "; COLLAPSED: one answer to everything" if scores["collapsed"] else "",
    )


if __name__ == "__main__":
    run_stage(main)
