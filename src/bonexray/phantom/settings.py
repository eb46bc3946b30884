"""The section `phantom` of the settings."""

from typing import Annotated

from pydantic import Field

from bonexray.base.config import Count, Positive, Section, Seed


class Phantom(Section):
    """The built-in simulated cohort."""

    patients: Count = 160
    img_px: Annotated[int, Field(ge=32)] = 128
    photons: Positive = 120.0
    readout_sigma: Annotated[float, Field(ge=0)] = 2.0
    seed: Seed = 7
