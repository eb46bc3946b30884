"""The section `prepare` of the settings."""

from typing import Annotated, Literal

from pydantic import Field

from bonexray.base.config import Section


class Prepare(Section):
    """Size and shape of the images for the networks."""

    img_px: Annotated[int, Field(ge=8)] = 80
    resize: Literal["pad", "stretch"] = "pad"
