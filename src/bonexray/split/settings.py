"""The sections `split` and `audit` of the settings."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from bonexray.base.config import Count, Section, Seed, Share


class Ratios(Section):
    """Share of the images in each split; they sum to 1."""

    train: Share = 0.65
    val: Share = 0.15
    test: Share = 0.2

    @model_validator(mode="after")
    def _sum_to_one(self) -> "Ratios":
        shares = (self.train, self.val, self.test)
        if abs(sum(shares) - 1) > 1e-6 or min(shares) <= 0:
            raise ValueError("three shares above 0 that sum to 1")
        return self


class Split(Section):
    """Assignment of images to training, validation and test."""

    ratios: Ratios = Ratios()
    subset: Annotated[float, Field(gt=0, le=1)] = 1.0
    max_images: Count | None = None
    folds: Annotated[int, Field(ge=3, le=20)] | None = None
    max_bad_fraction: Share = 0.2
    seed: Seed = 7


class Audit(Section):
    """Search for copies of images, and the policy for groups that cross the splits of the dataset."""

    neighbours: Annotated[int, Field(ge=0)] = 8
    likeness: Annotated[float, Field(gt=0, le=1)] = 0.7
    crossing: Literal["regroup", "redraw", "drop", "refuse", "trust"] = "regroup"
