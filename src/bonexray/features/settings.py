"""The sections `weights` and `features` of the settings, and the rows of `backbones`."""

from typing import Annotated, Literal

from pydantic import Field

from bonexray.config import Count, Section, Seed


class Weights(Section):
    """Where the starting weights of the backbones come from."""

    source: Literal["random", "imagenet"] = "random"
    mirror: str | None = None
    files: dict[str, str] = Field(default_factory=dict)
    seed: Seed = 7


class Features(Section):
    """How frozen backbones are run over the images."""

    batch_images: Count = 32
    copies: Annotated[int, Field(ge=0)] = 0


class BackboneRow(Section):
    """A backbone of the study as DVC sees it: when one of these changes, its features are computed again."""

    row: str
    watch: str
