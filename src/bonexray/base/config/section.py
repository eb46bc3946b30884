"""The base class of a section of `params.yaml`, and the types that sections share."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]


class Section(BaseModel):
    """A section of the settings: frozen, strict about types, closed to unknown keys.

    Each section is defined in the package that reads it, with its defaults. `conf/config.yaml` has the same defaults and
    explains the settings.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
