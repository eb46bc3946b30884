"""Score every trained model on the images of an external cohort, and compare with the internal test."""

import logging

import numpy as np
import pandas as pd

from bonexray.base.config import StageSettings
from bonexray.base.files import atomic_folder, read_json, write_json
from bonexray.data.arrays import ArrayFile
from bonexray.data.manifest import read_classes, read_manifest
from bonexray.data.paths import (
    COHORT_FACTS,
    EVALUATED,
    EXTERNAL,
    EXTERNAL_METRICS,
    EXTERNAL_REPORTS,
    IMAGES,
    MANIFEST,
    MODEL_CARD,
    PREDICTIONS,
)
from bonexray.data.predictions import first_training, read_predictions
from bonexray.dataset.settings import Dataset
from bonexray.evaluate.prior import learned_prior
from bonexray.evaluate.settings import Evaluate
from bonexray.external.answers import answers_of
from bonexray.external.scoring import Scoring, summary_of
from bonexray.external.settings import ExternalCohort
from bonexray.figures.external.drops import external_scores
from bonexray.registry import model_title
from bonexray.runtime import prepare_runtime
from bonexray.stage import run_stage

log = logging.getLogger("bonexray")


class Settings(StageSettings):
    """The sections of params.yaml that the stage reads."""

    external: dict[str, ExternalCohort]
    models: dict[str, dict]
    dataset: Dataset
    evaluate: Evaluate


def main(settings: Settings, name: str) -> None:
    """Write metrics/external/<name>.json and <name>_scores.json, data/external/<name>_predictions/ and a figure.

    Args:
        settings: of the stage.
        name: of the cohort, a key of the section `external`.
    """
    classes, folder = read_classes(), EXTERNAL / name
    images = read_manifest(folder / MANIFEST.name)
    prepare_runtime(seed=0, deterministic=True)
    answers = dict(answers_of(settings.models, ArrayFile(folder / IMAGES.name)))
    scores = score_models(images, answers, classes, settings, settings.external[name].recalibrate)
    write_json(EXTERNAL_METRICS / f"{name}.json", {**read_json(folder / COHORT_FACTS), "models": scores})
    write_json(EXTERNAL_METRICS / f"{name}_scores.json", summary_of(name, scores))
    with atomic_folder(EXTERNAL / f"{name}_predictions") as predictions:
        for model, probabilities in answers.items():
            columns = {f"prob_{label}": probabilities[:, number] for number, label in enumerate(classes)}
            table = images.assign(predicted=np.array(classes)[probabilities.argmax(axis=1)], **columns)
            table.to_csv(predictions / f"{model}.csv", index=False, lineterminator="\n", float_format="%.8f")
    with atomic_folder(EXTERNAL_REPORTS / name) as reports:
        rows = [{"title": model_title(model), **each} for model, each in scores.items()]
        table = pd.DataFrame(rows).sort_values("internal_balanced_accuracy", ascending=False, kind="stable")
        external_scores(table, name, reports / "external_scores.png")


def score_models(
    images: pd.DataFrame, answers: dict[str, np.ndarray], classes: list[str], settings: Settings, recalibrate: float
) -> dict[str, dict]:
    """Return the scores of each model's first training, the only one whose weights are kept, on the cohort."""
    cards = {model: read_json(EVALUATED / model / MODEL_CARD) for model in answers}
    scoring = Scoring(classes, settings.evaluate, settings.dataset.ordered, learned_prior(cards), recalibrate)
    scores = {}
    for model, probabilities in answers.items():
        rows, own = first_training(*read_predictions(EVALUATED / model / PREDICTIONS, classes))
        scores[model] = scoring.scores(rows, own, images, probabilities)
        drop = [scores[model][f"drop_balanced_accuracy{end}"] for end in ("", "_low", "_high")]
        score = scores[model]["balanced_accuracy"]
        log.info("%-22s balanced accuracy %.3f, drop %+.3f (%+.3f to %+.3f)", model, score, *drop)
    return scores


if __name__ == "__main__":
    run_stage(main, Settings)
