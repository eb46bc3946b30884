"""What a model says about an X-ray: calibrated probabilities, the operating point, the prediction set."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bonexray.serving.facts import Operating, StudyFacts
from bonexray.serving.predictor import Answer

NOTICE = "Research only, not for diagnosis."


@dataclass(frozen=True)
class PointVerdict:
    """On which side of the operating point an X-ray lies.

    Attributes:
        positive: classes that count as positive.
        probability: sum of their probabilities, the model's own, in [0, 1].
        threshold: fixed on validation.
    """

    positive: list[str]
    probability: float
    threshold: float

    @property
    def is_positive(self) -> bool:
        """Return whether the probability reaches the threshold."""
        return self.probability >= self.threshold


@dataclass(frozen=True)
class SetVerdict:
    """The prediction set of an X-ray.

    Attributes:
        classes: in the set; none if no class is probable enough.
        promised: share of patients whose true class is to be in the sets of all their images.
    """

    classes: list[str]
    promised: float


@dataclass(frozen=True, eq=False)
class Verdict:
    """What a model says about one X-ray that could be read.

    Attributes:
        predicted: the class with the largest probability of the model's own.
        calibrated: whether `probabilities` are calibrated.
        probabilities: float (classes,), calibrated on validation; the model's own if nothing is known of its study.
        own: float (classes,), the model's own.
        operating: None if the study has no operating point.
        members: None if the study makes no prediction sets.
    """

    predicted: str
    calibrated: bool
    probabilities: np.ndarray
    own: np.ndarray
    operating: PointVerdict | None
    members: SetVerdict | None


def verdict(classes: Sequence[str], facts: StudyFacts | None, answer: Answer) -> Verdict:
    """Return what a model says about an X-ray.

    Args:
        classes: the class map.
        facts: what the study knows of the model, if anything.
        answer: of an X-ray that could be read.
    """
    own = answer.probabilities
    return Verdict(
        predicted=answer.label,
        calibrated=facts is not None,
        probabilities=facts.calibrated(own[None])[0] if facts else own,
        own=own,
        operating=_operating(facts.operating, classes, own) if facts and facts.operating else None,
        members=_members(facts, classes, own) if facts and facts.sets else None,
    )


def _operating(point: Operating, classes: Sequence[str], own: np.ndarray) -> PointVerdict:
    probability = float(sum(own[classes.index(name)] for name in point.positive))
    return PointVerdict(point.positive, probability, point.threshold)


def _members(facts: StudyFacts, classes: Sequence[str], own: np.ndarray) -> SetVerdict:
    inside = facts.in_set(own[None])[0]
    return SetVerdict([name for name, member in zip(classes, inside, strict=True) if member], facts.sets.promised)
