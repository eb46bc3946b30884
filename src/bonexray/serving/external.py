"""Scores of a bundle on labelled X-rays of another hospital, without the study."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bonexray.base.errors import BonexrayError
from bonexray.dataset.sources import dataset_root
from bonexray.evaluate.bootstrap import draw, intervals, resampled_metrics
from bonexray.external.labels import with_classes
from bonexray.external.settings import ExternalCohort
from bonexray.serving.facts import StudyFacts
from bonexray.serving.predictor import Answer

SCORES = ("balanced_accuracy", "accuracy", "macro_f1", "roc_auc", "log_loss")
RESAMPLES, SEED = 2000, 7


@dataclass(frozen=True)
class Labelled:
    """X-rays of a cohort whose labels are classes of a model.

    Attributes:
        paths: of the X-rays.
        labels: int (X-rays,), indices of the classes.
        groups: (X-rays,), the patient of each, or the X-ray itself where none is named.
        unmapped: label to the number of X-rays left out because the label is not a class.
    """

    paths: list[Path]
    labels: np.ndarray
    groups: np.ndarray
    unmapped: dict[str, int]


def labelled_xrays(cohort: ExternalCohort, classes: list[str]) -> Labelled:
    """List the X-rays of a cohort.

    Raises:
        BonexrayError: the folder is missing, or fewer than two classes are in it.
    """
    what = "bonexray external"
    sources, unmapped = with_classes(what, cohort, classes)
    present = {source.label for source in sources}
    if len(present) < 2:
        received = ", ".join(sorted(present))
        raise BonexrayError(
            what, expected="X-rays of two classes", received=f"only {received}", do="add X-rays, or --label"
        )
    root = dataset_root(cohort)
    return Labelled(
        [root / source.path for source in sources],
        np.array([classes.index(source.label) for source in sources]),
        np.array([source.group or source.path for source in sources]),
        unmapped,
    )


def score(
    xrays: Labelled, answers: Sequence[Answer], classes: list[str], facts: StudyFacts | None, confidence: float = 0.95
) -> dict[str, tuple[float, float, float]]:
    """Return `SCORES` with their intervals, by a bootstrap of patients.

    Log loss is of probabilities under the study's prior and temperature, if the bundle carries them.

    Args:
        xrays: the cohort.
        answers: of the model, in the order of `xrays`; those without probabilities are left out.
        classes: the class map.
        facts: what the bundle knows of its study.
        confidence: level of the intervals.

    Raises:
        BonexrayError: no X-ray, or X-rays of one class alone, could be read.
    """
    read = np.array([answer.probabilities is not None for answer in answers])
    labels = xrays.labels[read]
    if len(np.unique(labels)) < 2:
        do = "see the reasons above"
        raise BonexrayError(
            "bonexray external", expected="readable X-rays of two classes", received=str(read.sum()), do=do
        )
    own = np.stack([answer.probabilities for answer in answers if answer.probabilities is not None]).astype(float)
    own /= own.sum(axis=1, keepdims=True)
    likely = facts.calibrated(own) if facts else own
    draws = draw(xrays.groups[read], RESAMPLES, SEED)
    resampled = resampled_metrics(labels, own, draws, classes)
    resampled["log_loss"] = resampled_metrics(labels, likely, draws, classes)["log_loss"]
    ends = intervals({name: resampled[name] for name in SCORES}, draws, confidence)
    return {name: (float(resampled[name][0]), ends[f"{name}_low"], ends[f"{name}_high"]) for name in SCORES}
