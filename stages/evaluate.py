"""Score every model from its predictions and draw its figures."""

import logging
import shutil
from pathlib import Path

import pandas as pd
from joblib import Parallel, cpu_count, delayed

from bonexray.base.config import StageSettings
from bonexray.base.files import atomic_folder, read_json, write_json
from bonexray.data.arrays import ArrayFile
from bonexray.data.manifest import read_classes, read_leak_suspect
from bonexray.data.paths import (
    EVALUATED,
    HISTORY,
    IMAGES,
    MODEL_CARD,
    MODEL_REPORTS,
    MODELS,
    PENALTY,
    PLOTS,
    PREDICTIONS,
    model_folder,
)
from bonexray.data.predictions import read_predictions
from bonexray.data.scores import collapse_of
from bonexray.dataset.settings import Dataset
from bonexray.evaluate.choice import candidates_of, chosen_on_validation
from bonexray.evaluate.evaluation import evaluate
from bonexray.evaluate.prior import learned_prior
from bonexray.evaluate.settings import Evaluate, require_classes
from bonexray.figures.model.curves import learning_curves
from bonexray.figures.model.evaluation import draw_evaluation
from bonexray.progress import progress
from bonexray.registry import model_title
from bonexray.stage import run_stage

CHOSEN = model_folder("chosen")  # under this name in DVC's model registry, whichever model it is
COSTS = ("parameters", "multiply_adds", "file_mb")
log = logging.getLogger("bonexray")


class Settings(StageSettings):
    """The sections of params.yaml that the stage reads."""

    models: dict[str, dict]
    evaluate: Evaluate
    dataset: Dataset


def main(settings: Settings) -> None:
    """Write metrics/models.json, figures and tables in reports/models/, data/evaluated/, reports/plots/ and models/chosen/.

    data/evaluated/ holds copies of the card, history and predictions of each model, so that later stages depend on one
    folder instead of on every model. models/chosen/ is a copy of the model that is best on validation.
    """
    require_classes(settings.evaluate, read_classes(), settings.dataset.ordered)
    names = list(settings.models)
    with atomic_folder(MODEL_REPORTS) as reports, atomic_folder(EVALUATED) as evaluated:
        work = Parallel(n_jobs=min(len(names), cpu_count()), return_as="generator")
        calls = (delayed(evaluate_model)(name, settings, reports / name, evaluated / name) for name in names)
        scores = dict(zip(names, progress(work(calls), "evaluating", len(names)), strict=True))
        write_plots(names, reports, evaluated)
    with atomic_folder(CHOSEN) as folder:
        shutil.copytree(model_folder(chosen_on_validation(candidates_of(scores))), folder, dirs_exist_ok=True)
    write_json(MODELS, scores)
    for name, model_scores in scores.items():
        log.info("%-22s %s", name, summary_line(model_scores))


def evaluate_model(name: str, settings: Settings, reports: Path, evaluated: Path) -> dict[str, object]:
    """Score one model and draw its figures.

    Args:
        name: name of the model.
        settings: settings of the stage.
        reports: folder for figures and tables.
        evaluated: folder for the files that later stages read.

    Returns:
        Name to score.
    """
    source, classes, title = model_folder(name), read_classes(), model_title(name)
    for folder in (reports, evaluated):
        folder.mkdir()
    for file in (MODEL_CARD, HISTORY, PREDICTIONS):
        shutil.copyfile(source / file, evaluated / file)
    card, history = read_json(source / MODEL_CARD), pd.read_csv(source / HISTORY)
    predictions = read_predictions(source / PREDICTIONS, classes)
    learned = learned_prior({name: card})
    evaluation = evaluate(*predictions, classes, settings.evaluate, settings.dataset.ordered, learned)
    draw_evaluation(evaluation, name, title, classes, settings.evaluate.confidence, ArrayFile(IMAGES), reports)
    learning_curves(history, title, reports / f"{name}_evaluation_figure.png")
    return {
        **evaluation.scores,
        **{cost: card[cost] for cost in COSTS},
        "epochs": int((history["phase"] != PENALTY).sum()),
        "leak_suspect": read_leak_suspect(),
    }


def write_plots(names: list[str], reports: Path, evaluated: Path) -> None:
    """Write the tables that `dvc plots` draws, each with the rows of all models."""
    sources = {
        "learning_curves": (evaluated, HISTORY, ["epoch", "log_loss", "val_log_loss"]),
        "confusion": (reports, "results_{name}.csv", ["actual", "prediction"]),
        "roc": (reports, "{name}_roc.csv", ["false_positive_rate", "macro_average"]),
        "calibration": (reports, "{name}_reliability.csv", ["confidence", "accuracy"]),
    }
    with atomic_folder(PLOTS) as folder:
        for plot, (root, file, columns) in sources.items():
            tables = [pd.read_csv(root / name / file.format(name=name))[columns].assign(model=name) for name in names]
            pd.concat(tables).to_csv(folder / f"{plot}.csv", index=False, lineterminator="\n")


def summary_line(scores: dict[str, object]) -> str:
    """Return the balanced accuracy with its interval, as one line for the log."""
    score = "balanced_accuracy"
    interval = f"{scores[score]:.3f} ({scores[f'{score}_low']:.3f} to {scores[f'{score}_high']:.3f})"
    mark = collapse_of(scores)
    return f"balanced accuracy {interval}, n = {scores['n']}{f'; COLLAPSED: predicts {mark}' if mark else ''}"


if __name__ == "__main__":
    run_stage(main, Settings)
