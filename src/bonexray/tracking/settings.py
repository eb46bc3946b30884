"""The section `track` of the settings."""

from pydantic import Field

from bonexray.config import Section


class Track(Section):
    """What is logged to MLflow, and where."""

    experiment: str = "bonexray"
    registered: bool = Field(default=False, alias="register")  # a pydantic model has a method of that name
