"""Turn one model's probabilities into numbers and figures; no network is needed."""

import logging
from pathlib import Path

import pandas as pd

from bonexray.config import Settings
from bonexray.data.arrays import IMAGES, ArrayFile
from bonexray.data.manifest import read_classes, read_leak_suspect
from bonexray.evaluation.evaluate import evaluate
from bonexray.evaluation.predictions import PREDICTIONS, read_predictions
from bonexray.models.registry import model_row
from bonexray.outputs import whole_folder, write_json
from bonexray.reporting.confusion import confusion_matrix
from bonexray.reporting.curves import learning_curves
from bonexray.reporting.galleries import sample_predictions
from bonexray.stage import run_stage

SAMPLES = 8
log = logging.getLogger("bonexray")


def main(settings: Settings, name: str) -> None:
    """Write metrics/models/<name>.json and the figures and results in reports/models/<name>/."""
    source, classes = Path(f"models/{name}"), read_classes()
    rows, probabilities = read_predictions(source / PREDICTIONS, classes)
    history = pd.read_csv(source / "history.csv")
    scores = {
        **evaluate(rows, probabilities, classes, settings.evaluate),
        "epochs": len(history),
        "leak_suspect": read_leak_suspect(),
    }
    title = model_row(name).title
    with whole_folder(f"reports/models/{name}") as folder:
        confusion_matrix(scores["confusion"], f"{title}: test images", folder / f"{name}_confusion_matrix.png")
        learning_curves(history, title, folder / f"{name}_evaluation_figure.png")
        draw_samples(rows, probabilities, title, folder / f"{name}_sample_predictions.png")
        write_results(rows, probabilities, classes, folder / f"results_{name}.csv")
    write_json(f"metrics/models/{name}.json", scores)
    log.info(
        "balanced accuracy %.3f (%.3f to %.3f), n = %d%s", scores["balanced_accuracy"], scores["balanced_accuracy_low"],
        scores["balanced_accuracy_high"], scores["n"], "; COLLAPSED: one answer to everything" if scores["collapsed"] else "",
    )  # fmt: skip


def draw_samples(rows: pd.DataFrame, probabilities, title: str, path: Path) -> None:
    """Draw the first test images of each class in turn, up to `SAMPLES`."""
    shown = rows.assign(probability=probabilities.max(axis=1))[rows["split"] == "test"]
    turn = shown.groupby("label").cumcount()
    shown = shown.iloc[turn.argsort(kind="stable")].head(SAMPLES)
    sample_predictions(ArrayFile(IMAGES)[shown.index], shown, f"{title}: test images", path)


def write_results(rows: pd.DataFrame, probabilities, classes: list[str], path: Path) -> None:
    """Write each test image's folder, file, answer, truth and probabilities."""
    test = rows["split"] == "test"
    files = [Path(name) for name in rows.loc[test, "path"]]
    table = pd.DataFrame({"directory": [f.parent.as_posix() for f in files], "file": [f.name for f in files]})
    table["prediction"], table["actual"] = (
        rows.loc[test, "predicted"].to_numpy(),
        rows.loc[test, "label"].to_numpy(),
    )
    for number, name in enumerate(classes):
        table[f"prob_{name}"] = probabilities[test, number]
    table.to_csv(path, index=False, lineterminator="\n", float_format="%.6f")


if __name__ == "__main__":
    run_stage(main)
