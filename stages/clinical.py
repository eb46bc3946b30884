"""Compare what clinical variables predict with what the image adds to them."""

import logging

import numpy as np
import pandas as pd

from bonexray.aggregate.comparison import differences_from
from bonexray.aggregate.frozen_features import frozen_features
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
        write_json(CLINICAL, {"columns": [], "network": None, "models": {}, "adds": {}})
        return
    classes, manifest, scores = read_classes(), read_manifest(), read_json(MODELS)
    network, features = frozen_features(scores) or (next(iter(scores)), None)
    card = read_json(EVALUATED / network / MODEL_CARD)
    rows, _ = read_predictions(EVALUATED / network / PREDICTIONS, classes)
    rows = rows[rows["repeat"] == 1].reset_index(drop=True)
    record = read_record().loc[manifest["id"], settings.dataset.clinical].reset_index(drop=True)
    labels = class_numbers(manifest["label"], classes)
    fitted = fitted_models(rows, labels, record, features, len(classes), str(card["train"]["class_weights"]))
    answers = {name: probabilities for name, (probabilities, _) in fitted.items()}
    learned, ordered = learned_prior({network: card}), settings.dataset.ordered
    models = {
        name: {**evaluate(rows, values, classes, settings.evaluate, ordered, learned).scores, "fitted": fitted[name][1]}
        for name, values in answers.items()
    }
    adds = additions(rows, answers, classes, settings.evaluate) if features is not None else {}
    content = {"columns": settings.dataset.clinical, "network": network if features is not None else None}
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
