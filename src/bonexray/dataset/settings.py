"""The section `dataset` of the settings."""

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from bonexray.base.config import Section


def _as_text(value: Any) -> Any:
    """Return the text of an integer, as YAML reads a class named 0; refuse what YAML has changed beyond recognition."""
    if isinstance(value, bool | float):
        raise ValueError(f"text: put the name of the class into quotes, since YAML reads it as {value}")
    return str(value) if isinstance(value, int) else value


Name = Annotated[str, BeforeValidator(_as_text)]


class Dataset(Section):
    """Where the images are, and where the label, group and split of each come from."""

    name: str
    root: str
    csv: str | None = None
    image_column: str = "image"
    label_column: str | Annotated[list[str], Field(min_length=2)] = "label"
    group_column: str | None = None
    split_column: str | None = None
    group_pattern: str | None = None
    patients: Literal["header", "column", "pattern", "none"] | None = None
    classes: list[Name] | None = None
    labels: dict[Name, Name | None] = Field(default_factory=dict)
    ordered: bool = False
    record: str | None = None
    columns: list[Name] = Field(default_factory=list)
    clinical: list[Name] = Field(default_factory=list)
    clinical_trusted: list[Name] = Field(default_factory=list)
    reference: str | None = None
    boxes: str | None = None
    box_labels: list[Name] = Field(default_factory=list)
    ignore: list[str] = Field(default_factory=list)
    links: Literal["refuse", "follow"] = "refuse"
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

    @field_validator("columns", "clinical")
    @classmethod
    def _names_each_once(cls, names: list[str]) -> list[str]:
        if len(set(names)) < len(names):
            raise ValueError("the name of each column once")
        return names

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

    @property
    def facts(self) -> list[str]:
        """Names of the columns of the record, those for subgroups first."""
        return list(dict.fromkeys([*self.columns, *self.clinical]))

    @model_validator(mode="after")
    def _trusts_what_it_uses(self) -> "Dataset":
        if set(self.clinical_trusted) - set(self.clinical):
            raise ValueError("names among dataset.clinical in dataset.clinical_trusted")
        return self

    @model_validator(mode="after")
    def _names_patients(self) -> "Dataset":
        for source, key in (("column", "group_column"), ("pattern", "group_pattern")):
            if self.patients == source and getattr(self, key) is None:
                raise ValueError(f"patients other than {source!r}, or dataset.{key}")
        return self
