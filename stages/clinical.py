"""Compare what clinical variables predict with what the image adds to them."""

import logging

import numpy as np
import pandas as pd

from bonexray.aggregate.comparison import differences_from
from bonexray.aggregate.frozen_features import best_by_fold, features_of
from bonexray.aggregate.panel import Panel, pairs_of
from bonexray.base.config import StageSettings
from bonexray.base.files import read_json, write_json
from bonexray.clinical.models import BOTH, IMAGE, RECORD, fitted_models
from bonexray.data.manifest import class_numbers, read_classes, read_manifest
from bonexray.data.paths import CLINICAL, EVALUATED, MODEL_CARD, MODELS, PREDICTIONS
from bonexray.data.predictions import read_predictions
from bonexray.data.record import read_record
from bonexray.dataset.settings import Dataset
from bonexray.evaluate.evaluation import evaluate
from bonexray.evaluate.prior import learned_prior
from bonexray.evaluate.settings import Evaluate
from bonexray.stage import run_stage

ADDS = {IMAGE: RECORD, RECORD: IMAGE}  # what is added to what
log = logging.getLogger("bonexray")


class Settings(StageSettings):
    """The sections of params.yaml that the stage reads."""

    evaluate: Evaluate
    dataset: Dataset


def main(settings: Settings) -> None:
    """Write metrics/clinical.json; it is empty without clinical variables."""
    if not settings.dataset.clinical:
        write_json(CLINICAL, {"columns": [], "networks": [], "models": {}, "adds": {}})
        return
    classes, manifest, scores = read_classes(), read_manifest(), read_json(MODELS)
    by_fold = best_by_fold(scores, classes, settings.evaluate.unit)
    networks = list(dict.fromkeys(by_fold.values()))
    cards = {name: read_json(EVALUATED / name / MODEL_CARD) for name in networks or scores}
    features = {name: features_of(cards[name]) for name in networks}
    rows, _ = read_predictions(EVALUATED / next(iter(cards)) / PREDICTIONS, classes)
    rows = rows[rows["repeat"] == 1].reset_index(drop=True)
    record = read_record().loc[manifest["id"], settings.dataset.clinical].reset_index(drop=True)
    labels = class_numbers(manifest["label"], classes)
    weights = str(next(iter(cards.values()))["train"]["class_weights"])
    of_folds = {fold: features[name] for fold, name in by_fold.items()}
    fitted = fitted_models(rows, labels, record, of_folds, len(classes), weights)
    answers = {name: probabilities for name, (probabilities, _) in fitted.items()}
    learned, ordered = learned_prior(cards), settings.dataset.ordered
    models = {
        name: {**evaluate(rows, values, classes, settings.evaluate, ordered, learned).scores, "fitted": fitted[name][1]}
        for name, values in answers.items()
    }
    adds = additions(rows, answers, classes, settings.evaluate) if networks else {}
    content = {"columns": settings.dataset.clinical, "networks": networks}
    write_json(CLINICAL, {**content, "models": models, "adds": adds})
    for name, each in models.items():
        log.info("%s: balanced accuracy %.3f", name, each["balanced_accuracy"])


def additions(
    rows: pd.DataFrame, answers: dict[str, np.ndarray], classes: list[str], settings: Evaluate
) -> dict[str, dict[str, float]]:
    """Return what the image adds to the record's balanced accuracy and the record to the image's, by a paired bootstrap."""
    plain = settings.model_copy(update={"primary": None})
    pairs = pairs_of(Panel(rows, answers).in_unit(settings.unit), classes, plain)
    found = {}
    for added, base in ADDS.items():
        difference = differences_from(pairs, base)[BOTH]
        pair = pairs[pairs["one"].isin([BOTH, base]) & pairs["other"].isin([BOTH, base])].iloc[0]
        found[added] = {
            "difference": difference["above_baseline"],
            "difference_low": difference["above_baseline_low"],
            "difference_high": difference["above_baseline_high"],
            "p": float(pair["p_bootstrap"]),
            "p_holm": float(pair["p_bootstrap_holm"]),
        }
    return found


if __name__ == "__main__":
    run_stage(main, Settings)
