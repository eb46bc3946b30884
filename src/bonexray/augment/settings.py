"""The section `augment` of the settings."""

from typing import Annotated

from pydantic import Field

from bonexray.base.config import Section, Seed


class Augment(Section):
    """Ranges of random changes to training images; validation and test images are never changed."""

    rotation_deg: Annotated[float, Field(ge=0, le=180)] = 10.0
    shift: Annotated[float, Field(ge=0, lt=1)] = 0.05
    zoom: Annotated[float, Field(ge=0, lt=1)] = 0.1
    shear_deg: Annotated[float, Field(ge=0, lt=90)] = 0.0
    flip: bool = True
    seed: Seed = 7
