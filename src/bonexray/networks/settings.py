"""The settings that decide the layers of a network above its backbones."""

from typing import Annotated, Literal

from pydantic import Field

from bonexray.config import Section


class HeadSettings(Section):
    """The head, and the layer of classes."""

    head: Literal["standard", "bare"] = "standard"
    standardize: bool = True
    output: Literal["softmax", "sigmoid"] = "softmax"
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    dropout_2: Annotated[float, Field(ge=0, lt=1)] = 0.3
