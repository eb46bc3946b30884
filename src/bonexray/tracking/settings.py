"""The section `track` of the settings."""

from pydantic import Field

from bonexray.base.config import Section


class Track(Section):
    """The experiment in MLflow, and the registration of the chosen model."""

    experiment: str = "bonexray"
    registered: bool = Field(default=False, alias="register")  # a pydantic model has a method of that name
