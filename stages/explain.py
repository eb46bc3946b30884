"""Draw heat maps of some test images for every model and a diagram of its layers, and check and score the heat maps."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bonexray.base.config import StageSettings
from bonexray.base.files import atomic_folder, read_json, write_json
from bonexray.data.arrays import ArrayFile
from bonexray.data.manifest import read_classes
from bonexray.data.paths import (
    COEFFICIENTS,
    EXPLAINED_REPORTS,
    IMAGES,
    MODEL_CARD,
    PREDICTIONS,
    SANITY_CHECK,
    model_folder,
)
from bonexray.data.predictions import first_training, read_predictions
from bonexray.evaluate.settings import Evaluate
from bonexray.explain.localisation_files import CHOSEN, SCORED, SUMMARY, TITLES
from bonexray.explain.located import Located, read_located
from bonexray.explain.settings import Explain
from bonexray.explain.store import Store
from bonexray.figures.explained.architecture import architecture
from bonexray.figures.explained.boxed import Boxed, boxed_maps
from bonexray.figures.explained.coefficients import coefficient_bars
from bonexray.figures.explained.heatmaps import Explained, heat_maps
from bonexray.figures.explained.localisation import localisation_figure
from bonexray.progress import progress
from bonexray.regions.files import boxes_by_image, read_boxes
from bonexray.registry import BASELINE, model_title
from bonexray.stage import run_stage

if TYPE_CHECKING:  # a baseline is explained without loading Keras
    from bonexray.explain.explanation import Explanation

BOXED = 8  # test images in the figure of maps and boxes
log = logging.getLogger("bonexray")


class Settings(StageSettings):
    """What the stage reads of params.yaml."""

    models: dict[str, dict]
    explain: Explain
    evaluate: Evaluate


def main(settings: Settings) -> None:
    """Write the figures of every model, and of a network heatmaps.csv and sanity_check.json, to reports/explained/<name>/.

    Explanations that the store has are taken from it. A study with boxes or masks also gets localisation.csv of each
    network, and localisation.json of all.
    """
    store, new, located = Store(settings.explain, Path(__file__)), 0, read_located()
    with atomic_folder(EXPLAINED_REPORTS) as reports:
        for name in progress(settings.models, "explaining", len(settings.models)):
            folder, kept = reports / name, store.path_of(name)
            if store.fetch(kept, folder):
                continue
            folder.mkdir()
            if read_json(model_folder(name) / MODEL_CARD)["mode"] == BASELINE:
                explain_baseline(name, folder)
            else:
                explain_network(settings.explain, name, folder)
                if located:
                    score_network(settings.explain, name, folder, located)
            store.keep(kept, folder)
            new += 1
        if located:
            write_localisation(reports, located, settings)
    log.info("%d of %d models explained anew", new, len(settings.models))


def explain_baseline(name: str, folder: Path) -> None:
    """Draw the coefficients of a baseline."""
    table = pd.read_csv(model_folder(name) / COEFFICIENTS, index_col="number")
    coefficient_bars(table, f"{model_title(name)}: coefficients", folder / f"{name}_coefficients.png")


def explain_network(options: Explain, name: str, folder: Path) -> None:
    """Draw heat maps and layers of a network, and check the heat maps against random weights."""
    from bonexray.explain.diagram import diagram_of
    from bonexray.explain.explanation import choose, explain
    from bonexray.networks.trained import trained_network
    from bonexray.runtime import prepare_runtime, start_anew

    source, classes = model_folder(name), read_classes()
    prepare_runtime(options.seed, deterministic=True)
    start_anew(options.seed)
    rows, probabilities = first_training(*read_predictions(source / PREDICTIONS, classes))
    chosen = choose(rows, probabilities, classes, options.right, options.wrong)
    probabilities, images = probabilities[chosen.index], ArrayFile(IMAGES)[chosen.index.to_numpy()]
    network = trained_network(source)
    px = images.shape[1]
    architecture(diagram_of(network, name), f"{name} on {px} px", folder / f"{name}_architecture.png")
    explanation = explain(network, name, images, chosen, probabilities, classes, options.seed)
    title = f"{name}: evidence for the predicted and the actual class (Grad-CAM)"
    panels = panels_of(images, chosen, probabilities, classes, explanation)
    heat_maps(panels, title, folder / f"{name}_gradcam.png")
    table = table_of(chosen, explanation)
    table.to_csv(folder / "heatmaps.csv", index=False, lineterminator="\n", float_format="%.6f")
    right = int((chosen["label"] == chosen["predicted"]).sum())
    check = {
        "images": len(chosen),
        "right": right,
        "wrong": len(chosen) - right,
        "head_randomised_likeness": explanation.head_randomised.mean(),
        "randomised_likeness": explanation.randomised.mean(),
    }
    write_json(folder / SANITY_CHECK, check)
    log.info("%-22s rank correlation with maps of random weights %.2f", name, check["randomised_likeness"])


def score_network(options: Explain, name: str, folder: Path, located: Located) -> None:
    """Write how well the heat maps of a network find the regions of each test image."""
    from bonexray.explain.localisation import first_maps, localise, methods_of
    from bonexray.networks.trained import trained_network
    from bonexray.runtime import prepare_runtime, start_anew

    prepare_runtime(options.seed, deterministic=True)
    start_anew(options.seed)
    network, classes, shown = trained_network(model_folder(name)), read_classes(), located.samples(BOXED)
    heat, boxes = first_maps(network, name, located, classes, shown), boxes_by_image(read_boxes())
    rows = located.rows.iloc[shown]
    parts = zip(located.images(shown), heat, [boxes[key] for key in rows["id"]], rows["label"], strict=True)
    title = f"{model_title(name)}: {TITLES[methods_of(name)[0]]} of test images with boxes"
    boxed_maps([Boxed(*part) for part in parts], title, folder / f"{name}_boxes.png")
    table, thresholds = localise(network, name, located, classes, options.seed)
    table.to_csv(folder / SCORED, index=False, lineterminator="\n", float_format="%.6f")
    write_json(folder / CHOSEN, thresholds)


def write_localisation(reports: Path, located: Located, settings: Settings) -> None:
    """Write the localisation of all networks, with intervals by patient, beside its references."""
    from bonexray.explain.localisation_summary import summarise  # SciPy, which other studies do not wait for

    tables = {name: pd.read_csv(path) for name in settings.models if (path := reports / name / SCORED).is_file()}
    summary = summarise(located, tables, settings.evaluate)
    write_json(reports / SUMMARY, summary)
    titles = {name: model_title(name) for name in tables}
    if tables:
        localisation_figure(summary, titles, reports / "localisation.png")
    for name, kinds in summary["models"].items():
        for method, scores in kinds.items():
            log.info("%-22s %-10s pointing game %.2f  energy %.2f", name, method, scores["pointing"], scores["energy"])


def panels_of(
    images: np.ndarray, rows: pd.DataFrame, probabilities: np.ndarray, classes: list[str], explanation: "Explanation"
) -> list[Explained]:
    """Return what the figure shows of each image."""
    actual = probabilities[np.arange(len(rows)), [classes.index(label) for label in rows["label"]]]
    predictions = rows[["predicted", "label", "probability"]].itertuples(index=False)
    parts = zip(images, predictions, actual, explanation.predicted, explanation.actual, strict=True)
    return [Explained(image, *prediction, share, *heats) for image, prediction, share, *heats in parts]


def table_of(rows: pd.DataFrame, explanation: "Explanation") -> pd.DataFrame:
    """Return one row per image: id, predicted and actual class, and rank correlations with maps of random weights."""
    table = rows[["id", "predicted", "label", "probability"]].rename(columns={"label": "actual"})
    return table.assign(
        head_randomised_likeness=explanation.head_randomised, randomised_likeness=explanation.randomised
    )


if __name__ == "__main__":
    run_stage(main, Settings)
