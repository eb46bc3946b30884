"""The section `evaluate` of the settings."""

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from bonexray.base.config import Section, Seed
from bonexray.base.errors import BonexrayError
from bonexray.dataset.settings import Name

Inner = Annotated[float, Field(gt=0, lt=1)]
CORRECT = "correct it in conf/config.yaml or with `dvc exp run -S`"


class Evaluate(Section):
    """Intervals, prediction sets, the unit and the prior of predictions, and the operating point."""

    resamples: Annotated[int, Field(ge=100)] = 2000
    confidence: Inner = 0.95
    seed: Seed = 7
    coverage: Inner | None = 0.9
    unit: Literal["image", "patient"] = "image"
    prevalence: dict[Name, Inner] | None = None
    sensitivity: Inner | None = None
    positive: Name | None = None
    primary: Annotated[list[str], Field(min_length=2, max_length=2)] | None = None

    @field_validator("prevalence")
    @classmethod
    def _sums_to_1(cls, shares: dict[str, float] | None) -> dict[str, float] | None:
        if shares is not None and abs(sum(shares.values()) - 1) > 1e-6:
            raise ValueError("a share for each class, with sum 1")
        return shares

    @field_validator("primary")
    @classmethod
    def _names_two_models(cls, names: list[str] | None) -> list[str] | None:
        if names is not None and len(set(names)) < 2:
            raise ValueError("two different models")
        return names

    @model_validator(mode="after")
    def _positive_has_a_target(self) -> "Evaluate":
        if self.positive is not None and self.sensitivity is None:
            raise ValueError("evaluate.positive only together with evaluate.sensitivity")
        return self


def positive_classes(settings: Evaluate, classes: list[str], ordered: bool) -> list[int]:
    """Return the indices of the classes that count as positive at the operating point; none without a target.

    The positive class is `positive`, and for ordered classes every higher grade too; of two classes it is the second
    one if none is named.
    """
    if settings.sensitivity is None:
        return []
    first = classes.index(settings.positive) if settings.positive is not None else 1
    return list(range(first, len(classes))) if ordered else [first]


def evaluate_findings(settings: Evaluate, classes: list[str], ordered: bool) -> Iterable[BonexrayError]:
    """Yield what is wrong with the settings for these classes: unknown names, and no class or all classes positive."""
    names = ", ".join(classes)
    if settings.prevalence is not None and set(settings.prevalence) != set(classes):
        received = ", ".join(settings.prevalence)
        yield BonexrayError(
            "evaluate.prevalence", expected=f"a share of each of {names}", received=received, do=CORRECT
        )
    if settings.positive is not None and settings.positive not in classes:
        received = repr(settings.positive)
        yield BonexrayError("evaluate.positive", expected=f"one of {names}", received=received, do=CORRECT)
    elif settings.sensitivity is not None and settings.positive is None and len(classes) != 2:
        yield BonexrayError(
            "evaluate.positive", expected=f"one of {names}, with a sensitivity", received="none", do=CORRECT
        )
    elif len(positive_classes(settings, classes, ordered)) == len(classes):
        yield BonexrayError(
            "evaluate.positive",
            expected=f"a grade above the lowest, {classes[0]}",
            received=repr(settings.positive),
            do=CORRECT,
        )


def require_classes(settings: Evaluate, classes: list[str], ordered: bool) -> None:
    """Raise the first problem of the settings for these classes."""
    for finding in evaluate_findings(settings, classes, ordered):
        raise finding
