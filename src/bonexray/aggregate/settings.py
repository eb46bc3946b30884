"""The section `aggregate` of the settings."""

from typing import Literal, get_args

from pydantic import Field

from bonexray.base.config import Section

Ensemble = Literal["mean", "weighted", "majority", "stacking"]


class Aggregate(Section):
    """Ensembles of the study's models."""

    ensembles: list[Ensemble] = Field(default_factory=lambda: list(get_args(Ensemble)))
