"""Score linear models by number of training patients: what would more data bring?"""

import logging

import pandas as pd

from bonexray.base.config import StageSettings
from bonexray.base.files import atomic_file, atomic_folder, read_json
from bonexray.data.manifest import read_classes
from bonexray.data.paths import EVALUATED, LEARNING_CURVE, LEARNING_CURVE_REPORTS, MODEL_CARD, PREDICTIONS
from bonexray.data.predictions import first_training, read_predictions
from bonexray.dataset.settings import Dataset
from bonexray.evaluate.prior import learned_prior
from bonexray.evaluate.settings import Evaluate, require_classes
from bonexray.figures.learning_curve import learning_curve
from bonexray.learning_curve.curve import Task, curve_of, require_same_score
from bonexray.learning_curve.learners import names_of_learners, open_learners
from bonexray.learning_curve.settings import LearningCurve
from bonexray.registry import model_title
from bonexray.stage import run_stage

log = logging.getLogger("bonexray")


class Settings(StageSettings):
    """The sections of params.yaml that the stage reads."""

    learning_curve: LearningCurve
    evaluate: Evaluate
    dataset: Dataset


def main(settings: Settings) -> None:
    """Write metrics/learning_curve.csv and reports/learning_curve/, for the split of the first training."""
    classes = read_classes()
    require_classes(settings.evaluate, classes, settings.dataset.ordered)
    folders = sorted(folder for folder in EVALUATED.iterdir() if folder.is_dir())
    cards = {folder.name: read_json(folder / MODEL_CARD) for folder in folders}
    own = {folder.name: first_training(*read_predictions(folder / PREDICTIONS, classes)) for folder in folders}
    rows = next(iter(own.values()))[0]
    task = Task(rows, classes, learned_prior(cards), settings.learning_curve, settings.evaluate)
    names = names_of_learners(cards, {name: task.judged(answers, "val") for name, (_, answers) in own.items()})
    curves, fits = [], []
    for learner in open_learners(names, cards):
        curve, each = curve_of(learner, task)
        require_same_score(learner.name, curve, task.judged(own[learner.name][1], "test"))
        curves.append(curve)
        fits.append(each)
        log.info("%-26s %s", learner.name, summary_line(curve))
    table = pd.concat(curves)
    with atomic_file(LEARNING_CURVE) as partial:
        table.to_csv(partial, index=False, lineterminator="\n", float_format="%.6f")
    titles = {name: model_title(name) for name in names}
    with atomic_folder(LEARNING_CURVE_REPORTS) as folder:
        learning_curve(table, pd.concat(fits), titles, settings.evaluate.confidence, folder / "learning_curve.png")


def summary_line(curve: pd.DataFrame) -> str:
    """Return the balanced accuracy by number of training patients, as one line for the log."""
    scores = (f"{row.patients:.0f}: {row.balanced_accuracy:.3f}" for row in curve.itertuples())
    return f"balanced accuracy by training patients: {', '.join(scores)}"


if __name__ == "__main__":
    run_stage(main, Settings)
