"""Draw where one model looked in some test images, and what it is made of; says whether its maps pass a sanity check."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd

from bonexray.config import StageSettings
from bonexray.data.arrays import ArrayFile
from bonexray.data.manifest import read_classes
from bonexray.data.paths import IMAGES, PREDICTIONS
from bonexray.data.predictions import first_training, read_predictions
from bonexray.explain.diagram import diagram_of
from bonexray.explain.explanation import Explanation, choose, explain
from bonexray.explain.settings import Explain
from bonexray.figures.explained.architecture import architecture
from bonexray.figures.explained.heatmaps import Explained, heat_maps
from bonexray.files import atomic_folder, write_json
from bonexray.networks.trained import trained_network
from bonexray.runtime import prepare_runtime
from bonexray.stage import run_stage

log = logging.getLogger("bonexray")


class Settings(StageSettings):
    """What the stage reads of params.yaml."""

    explain: Explain


def main(settings: Settings, name: str) -> None:
    """Write metrics/explained/<name>.json and the figures and heatmaps.csv in reports/explained/<name>/."""
    options, source, classes = settings.explain, Path(f"models/{name}"), read_classes()
    prepare_runtime(options.seed, deterministic=True)
    rows, probabilities = first_training(*read_predictions(source / PREDICTIONS, classes))
    shown = choose(rows, probabilities, classes, options.right, options.wrong)
    answers, images = probabilities[shown.index], ArrayFile(IMAGES)[shown.index.to_numpy()]
    network = trained_network(source)
    px = images.shape[1]
    with atomic_folder(f"reports/explained/{name}") as folder:
        architecture(diagram_of(network, name), f"{name} on {px} px", folder / f"{name}_architecture.png")
        found = explain(network, name, images, shown, answers, classes, options.seed)
        panels = panels_of(images, shown, answers, classes, found)
        heat_maps(panels, f"{name}: what speaks for a class (Grad-CAM)", folder / f"{name}_gradcam.png")
        table_of(shown, found).to_csv(folder / "heatmaps.csv", index=False, lineterminator="\n", float_format="%.6f")
    right = int((shown["label"] == shown["predicted"]).sum())
    scores = {
        "images": len(shown),
        "right": right,
        "wrong": len(shown) - right,
        "head_randomised_likeness": found.head_randomised.mean(),
        "randomised_likeness": found.randomised.mean(),
    }
    write_json(f"metrics/explained/{name}.json", scores)
    log.info("%d images; likeness to maps of random weights %.2f", len(shown), scores["randomised_likeness"])


def panels_of(
    images: np.ndarray, shown: pd.DataFrame, answers: np.ndarray, classes: list[str], found: Explanation
) -> list[Explained]:
    """What the figure shows of each image."""
    actual = answers[np.arange(len(shown)), [classes.index(label) for label in shown["label"]]]
    told = shown[["predicted", "label", "probability"]].itertuples(index=False)
    parts = zip(images, told, actual, found.predicted, found.actual, strict=True)
    return [Explained(image, *names, share, *heats) for image, names, share, *heats in parts]


def table_of(shown: pd.DataFrame, found: Explanation) -> pd.DataFrame:
    """A row an image: its id, answer, truth, and how like its map is to those of random weights."""
    table = shown[["id", "predicted", "label", "probability"]].rename(columns={"label": "actual"})
    return table.assign(head_randomised_likeness=found.head_randomised, randomised_likeness=found.randomised)


if __name__ == "__main__":
    run_stage(main, Settings)
