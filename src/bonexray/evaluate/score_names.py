"""Names of scores: plain text for a score of all classes, a pair for a score of one class."""

from collections.abc import Mapping
from typing import NamedTuple

CLASSES = "classes"  # the key of the scores by class


class ClassScore(NamedTuple):
    """Name of a score of one class; never equal to a plain name, whatever the class is called.

    Args:
        score: name of the score, such as recall.
        label: name of the class, any text.
    """

    score: str
    label: str


Name = str | ClassScore


def with_ending(name: Name, ending: str) -> Name:
    """Return the name of a score's bound, mean or deviation: `recall` and `_low` give `recall_low`."""
    return name._replace(score=name.score + ending) if isinstance(name, ClassScore) else name + ending


def nested(scores: Mapping[Name, object], classes: list[str]) -> dict[str, object]:
    """Return scores of all classes by name, and under `classes` those of each class: class to name to score.

    Args:
        scores: name to score.
        classes: names of the classes, each of which gets a mapping.
    """
    by_class: dict[str, dict[str, object]] = {label: {} for label in classes}
    for name, value in scores.items():
        if isinstance(name, ClassScore):
            by_class[name.label][name.score] = value
    return {**{name: value for name, value in scores.items() if isinstance(name, str)}, CLASSES: by_class}
