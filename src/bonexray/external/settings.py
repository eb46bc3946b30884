"""The section `external` of the settings."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from bonexray.dataset.settings import Dataset

# Keys that only a study's own dataset may have; classes, split and record are those of the development cohort.
OWN = (
    "classes",
    "ordered",
    "split_column",
    "reference",
    "boxes",
    "box_labels",
    "simulated",
    "record",
    "columns",
    "clinical",
    "inputs",
    "name",
)


class ExternalCohort(Dataset):
    """Where the images of another cohort are; the keys are those of `dataset`.

    Attributes:
        labels: class of the study for a label of the cohort, or null to leave its images out; a label that is neither
            here nor a class of the study is left out too, and counted.
        copies: what to do with copies of development images and with images of development patients.
        recalibrate: share of the cohort's patients that a recalibration is fitted to; it is scored on the others.
    """

    name: str = "external"
    inputs: Annotated[list[str], Field(max_length=2)] = Field(default_factory=list)
    copies: Literal["leave_out", "refuse"] = "leave_out"
    recalibrate: Annotated[float, Field(gt=0, lt=1)] = 0.25

    @model_validator(mode="after")
    def _has_no_classes_of_its_own(self) -> "ExternalCohort":
        defaults = type(self).model_fields
        given = [key for key in OWN if getattr(self, key) != defaults[key].get_default(call_default_factory=True)]
        if given:
            raise ValueError(f"no {given[0]}: the study's own classes hold, and every image is for testing")
        return self
