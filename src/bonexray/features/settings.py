"""Settings of the sections `weights` and `features`, and the entries of `backbones`."""

from typing import Annotated, Literal

from pydantic import Field

from bonexray.base.config import Count, Section, Seed


class Weights(Section):
    """The starting weights of the backbones."""

    source: Literal["packaged", "random", "imagenet"] = "packaged"
    mirror: str | None = None
    files: dict[str, str] = Field(default_factory=dict)
    seed: Seed = 7


class Features(Section):
    """The extraction of features by frozen backbones."""

    batch_images: Count = 32
    copies: Annotated[int, Field(ge=0)] = 0


class BackboneRow(Section):
    """A backbone of the study, as a parameter of its features stage: a change runs the stage again.

    Attributes:
        row: facts of its row in the registry, in words.
        watch: file on which the stage depends: the code that builds the backbone, or its weights file.
    """

    row: str
    watch: str
