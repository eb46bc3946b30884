"""The section `dataset` of the settings."""

import re
from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator

from bonexray.base.config import Section


class Dataset(Section):
    """Where the images are, and where the label, group and split of each come from."""

    name: str
    root: str
    csv: str | None = None
    image_column: str = "image"
    label_column: str = "label"
    group_column: str | None = None
    split_column: str | None = None
    group_pattern: str | None = None
    classes: list[str] | None = None
    ordered: bool = False
    reference: str | None = None
    inputs: Annotated[list[str], Field(min_length=1, max_length=2)]
    simulated: dict[str, str] = Field(default_factory=dict)

    @field_validator("ordered")
    @classmethod
    def _has_an_order(cls, ordered: bool, others: ValidationInfo) -> bool:
        if ordered and not others.data.get("classes"):
            raise ValueError(
                "false, or the grades from lowest to highest in dataset.classes: names alone have no order"
            )
        return ordered

    @field_validator("group_pattern")
    @classmethod
    def _captures_the_group(cls, pattern: str | None) -> str | None:
        try:
            captures = pattern is None or re.compile(pattern).groups > 0
        except re.error:
            captures = False
        if not captures:
            raise ValueError("a regular expression whose first group in parentheses matches the patient")
        return pattern
