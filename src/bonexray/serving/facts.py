"""What a study knows of a model beyond its weights: its data, its scores, its calibration, its operating point, its sets."""

from pathlib import Path

import numpy as np
import pandas as pd

from bonexray.base.config import Section
from bonexray.base.files import read_json
from bonexray.data.folds import FIRST
from bonexray.data.paths import EVALUATED, MODEL_CARD, MODELS, PREDICTIONS
from bonexray.data.predictions import first_training, read_predictions
from bonexray.evaluate.calibration import with_temperature
from bonexray.evaluate.operating_point import operating_point
from bonexray.evaluate.patients import by_patient
from bonexray.evaluate.prediction_sets import Thresholds, thresholds_of
from bonexray.evaluate.prior import corrected, learned_prior
from bonexray.evaluate.settings import Evaluate, positive_classes
from bonexray.evaluate.split_predictions import SplitPredictions, predictions_in, temperatures
from bonexray.study import Settings

SCORES = ("balanced_accuracy", "accuracy", "roc_auc")


class Score(Section):
    """A score on test with its interval."""

    value: float
    low: float
    high: float


class Operating(Section):
    """The operating point: the threshold fixed on validation, and what it does on test, by patient.

    Attributes:
        positive: classes that count as positive.
        threshold: of the sum of their probabilities, the model's own.
        scores: sensitivity, specificity, and the predictive values; without those that are not defined.
    """

    positive: list[str]
    threshold: float
    scores: dict[str, Score]


class Sets(Section):
    """What decides the prediction set of an image, and what was promised and reached.

    Attributes:
        promised: share of patients whose true class is to be in the sets of all their images.
        by_class: whether that is promised for each class.
        thresholds: float (classes,), the probability under the prior of interest from which a class is in the set.
        scores: coverage reached on test.
    """

    promised: float
    by_class: bool
    thresholds: list[float]
    scores: dict[str, Score]


class StudyFacts(Section):
    """`study.json` of a bundle.

    Attributes:
        dataset: name of the dataset.
        simulated: whether its images are simulated.
        images: number of images by split, then class, in the training whose weights these are.
        groups: number of groups, as a rule patients, by split.
        prior: float (classes,), factors that bring the model's own probabilities to the prior of interest; their sum is 1.
        temperature: divides the logits after that.
        confidence: confidence level of the intervals.
        tested: number of images or patients that the scores are of; 0 if the model has not been evaluated.
        scores: scores on test.
        operating: None if the study has no operating point.
        sets: None if the study makes no prediction sets, or has too few validation patients.
    """

    dataset: str
    simulated: bool
    images: dict[str, dict[str, int]]
    groups: dict[str, int]
    prior: list[float]
    temperature: float
    confidence: float
    unit: str
    tested: int
    scores: dict[str, Score]
    operating: Operating | None
    sets: Sets | None = None

    def calibrated(self, probabilities: np.ndarray) -> np.ndarray:
        """Return probabilities (images, classes), the model's own, under the prior of interest and the temperature."""
        return with_temperature(self._of_interest(probabilities), self.temperature)

    def in_set(self, probabilities: np.ndarray) -> np.ndarray:
        """Return bool (images, classes), the classes in each prediction set, of the model's own probabilities."""
        return Thresholds(np.array(self.sets.thresholds), self.sets.by_class).sets(self._of_interest(probabilities))

    def _of_interest(self, probabilities: np.ndarray) -> np.ndarray:
        """Return probabilities (images, classes) under the prior of interest."""
        weighted = probabilities.astype(float) * np.array(self.prior)
        return weighted / weighted.sum(axis=1, keepdims=True)


def study_facts(settings: Settings, folder: Path) -> StudyFacts | None:
    """Return what the study in the working directory knows of a model.

    Calibration, operating point and prediction sets are fitted as the stage `evaluate` fits them, on the validation images of the training
    whose weights are kept. Scores are those in metrics/, if they are of this model.

    Args:
        settings: the settings of the study.
        folder: models/<name>.

    Returns:
        None if the model's predictions are not there.
    """
    if not (folder / PREDICTIONS).is_file():
        return None
    card = read_json(folder / MODEL_CARD)
    classes, options = card["classes"], settings.evaluate
    rows, own = first_training(*read_predictions(folder / PREDICTIONS, classes))
    learned = learned_prior({folder.name: card})
    likely = corrected(rows, own, classes, learned, options.prevalence)
    uniform = np.full_like(own, 1 / len(classes))
    scored = _scores_of(folder.name, card["fingerprint"])
    return StudyFacts(
        dataset=settings.dataset.name,
        simulated=bool(settings.dataset.simulated),
        images=_images(rows, classes),
        groups={split: int(block["group"].nunique()) for split, block in rows.groupby("split")},
        prior=corrected(rows, uniform, classes, learned, options.prevalence)[0].tolist(),
        temperature=_temperature(rows, likely, classes, options),
        confidence=options.confidence,
        unit=options.unit,
        tested=int(scored.get("n", 0)),
        scores=_intervals(scored, {name: name for name in SCORES}),
        operating=_operating(rows, own, likely, classes, settings),
        sets=_sets(rows, likely, classes, options, scored),
    )


def _images(rows: pd.DataFrame, classes: list[str]) -> dict[str, dict[str, int]]:
    counts = rows.groupby(["split", "label"]).size()
    splits = [split for split in ("train", "val", "test") if split in set(rows["split"])]
    return {split: {name: int(counts.get((split, name), 0)) for name in classes} for split in splits}


def _temperature(rows: pd.DataFrame, likely: np.ndarray, classes: list[str], options: Evaluate) -> float:
    return temperatures(_validation(rows, likely, classes, options)).get(FIRST.fold, 1.0)


def _validation(rows: pd.DataFrame, likely: np.ndarray, classes: list[str], options: Evaluate) -> SplitPredictions:
    if options.unit == "patient":
        rows, likely = by_patient(rows, likely)
    return predictions_in(rows, likely, classes, "val")


def _sets(
    rows: pd.DataFrame, likely: np.ndarray, classes: list[str], options: Evaluate, scored: dict[str, object]
) -> Sets | None:
    if options.coverage is None:
        return None
    thresholds = thresholds_of(_validation(rows, likely, classes, options), options.coverage)
    if thresholds is None:
        return None
    reached = _intervals(scored, {"coverage": "set_coverage"}) if scored.get("set_promised") == options.coverage else {}
    return Sets(
        promised=options.coverage, by_class=thresholds.by_class, thresholds=thresholds.values.tolist(), scores=reached
    )


def _operating(
    rows: pd.DataFrame, own: np.ndarray, likely: np.ndarray, classes: list[str], settings: Settings
) -> Operating | None:
    positive = positive_classes(settings.evaluate, classes, settings.dataset.ordered)
    point = operating_point(rows, own, likely, classes, positive, settings.evaluate)
    if point is None or not np.isfinite(point.scores["operating_threshold"]):
        return None
    names = {name: f"operating_{name}" for name in ("sensitivity", "specificity", "ppv", "npv")}
    return Operating(
        positive=[classes[number] for number in positive],
        threshold=point.scores["operating_threshold"],
        scores=_intervals(point.scores, names),
    )


def _scores_of(name: str, fingerprint: str) -> dict[str, object]:
    """Return a model's scores in metrics/; nothing if it was trained again since."""
    card = EVALUATED / name / MODEL_CARD
    if not (MODELS.is_file() and card.is_file()) or read_json(card)["fingerprint"] != fingerprint:
        return {}
    return read_json(MODELS).get(name, {})


def _intervals(scores: dict, names: dict[str, str]) -> dict[str, Score]:
    values = {new: [scores.get(f"{old}{end}") for end in ("", "_low", "_high")] for new, old in names.items()}
    return {
        name: Score(value=value, low=low, high=high)
        for name, (value, low, high) in values.items()
        if all(number is not None and np.isfinite(number) for number in (value, low, high))
    }
