"""The section `evaluate` of the settings."""

from typing import Annotated

from pydantic import Field

from bonexray.base.config import Section, Seed


class Evaluate(Section):
    """Bootstrap settings."""

    resamples: Annotated[int, Field(ge=100)] = 2000
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95
    seed: Seed = 7
