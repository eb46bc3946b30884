"""Settings of the layers above the backbones."""

from typing import Annotated, Literal

from pydantic import Field

from bonexray.base.config import Section

LINEAR = "linear"  # a head of one layer, which a regression fits


class HeadSettings(Section):
    """The head and the output layer, part of the section `train`."""

    head: Literal["standard", "bare", "linear"] = "linear"
    standardize: bool = True
    output: Literal["softmax", "sigmoid", "cumulative", "corn"] = "softmax"
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    dropout_2: Annotated[float, Field(ge=0, lt=1)] = 0.3
