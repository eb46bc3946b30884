"""The section `phantom` of the settings."""

from typing import Annotated, Literal

from pydantic import Field

from bonexray.base.config import Count, Positive, Section, Seed, Share

COHORT, OTHER_SITE, FRACTURE = "cohort", "other_site", "fracture"  # keys of `dataset.simulated`
FOLDERS = {COHORT: "data/phantom", OTHER_SITE: "data/phantom_other_site", FRACTURE: "data/phantom_fracture"}


class Phantom(Section):
    """The built-in simulated cohort."""

    patients: Count = 400
    img_px: Annotated[int, Field(ge=32)] = 80
    photons: Positive = 120.0
    readout_sigma: Annotated[float, Field(ge=0)] = 2.0
    site: Literal["a", "b"] = "a"
    other_site_patients: Count = 120
    label_noise: Share = 0.0
    seed: Seed = 7
