"""The section `denoise` of the settings."""

from typing import Annotated

from pydantic import Field

from bonexray.base.config import Count, Positive, Section, Seed


class Denoise(Section):
    """The noise filter, and the measurement of its quality."""

    method: str = "bm3d"
    options: dict[str, int | float | str] = Field(default_factory=dict)
    sigma: Positive | None = None
    working_px: Annotated[int, Field(ge=32)] = 256
    quality_images: Count = 24
    quality_sigma: Positive = 0.086
    store_gb: Annotated[float, Field(ge=0)] = 10.0
    seed: Seed = 7
