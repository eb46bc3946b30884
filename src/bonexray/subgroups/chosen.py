"""The predictions of the model that was chosen on validation."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from bonexray.aggregate.choice import predictions_of_choice
from bonexray.aggregate.panel import panel_of
from bonexray.base.files import read_json
from bonexray.data.paths import EVALUATED, HEADLINE, MODEL_CARD, PREDICTIONS
from bonexray.data.predictions import read_predictions
from bonexray.evaluate.prior import Learned, learned_prior


@dataclass(frozen=True, eq=False)
class Chosen:
    """The chosen model, or what each fold chose.

    Attributes:
        name: of the model.
        rows: rows of `read_predictions`.
        probabilities: float (rows, classes).
        learned: the prior that it has learned.
    """

    name: str
    rows: pd.DataFrame
    probabilities: np.ndarray
    learned: Learned


def read_chosen(classes: list[str], headline: Path = HEADLINE, evaluated: Path = EVALUATED) -> Chosen:
    """Return the predictions of the model named in metrics/headline.json."""
    head = read_json(headline)
    by_fold = {int(fold): name for fold, name in head.get("chosen_by_fold", {}).items()}
    names = list(dict.fromkeys(by_fold.values())) or [head["model"]]
    panel = panel_of({name: read_predictions(evaluated / name / PREDICTIONS, classes) for name in names})
    learned = learned_prior({name: read_json(evaluated / name / MODEL_CARD) for name in names})
    answers = predictions_of_choice(panel, by_fold) if by_fold else panel.probabilities[head["model"]]
    return Chosen(head["model"], panel.rows, answers, learned)
