"""The sections of `params.yaml`: one class a section, one field a knob; `conf/config.yaml` says what each knob means."""

import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]


class Section(BaseModel):
    """A part of the settings: frozen, strict about types, closed to unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Dataset(Section):
    """Where the images are and how a file's label, group and split are known."""

    name: str
    root: str
    csv: str | None
    image_column: str
    label_column: str
    group_column: str | None
    split_column: str | None
    group_pattern: str | None
    classes: list[str] | None
    ordered: bool
    reference: str | None
    inputs: Annotated[list[str], Field(min_length=1, max_length=2)]
    simulated: dict[str, str]

    @field_validator("group_pattern")
    @classmethod
    def _captures_the_group(cls, pattern: str | None) -> str | None:
        try:
            captures = pattern is None or re.compile(pattern).groups > 0
        except re.error:
            captures = False
        if not captures:
            raise ValueError("a regular expression whose first parenthesis is the patient")
        return pattern


class Phantom(Section):
    """The built-in simulated cohort."""

    patients: Count
    img_px: Annotated[int, Field(ge=32)]
    photons: Positive
    readout_sigma: Annotated[float, Field(ge=0)]
    seed: Seed


class Ratios(Section):
    """Shares of the images in each split; they sum to 1."""

    train: Share
    val: Share
    test: Share

    @model_validator(mode="after")
    def _sum_to_one(self) -> "Ratios":
        shares = (self.train, self.val, self.test)
        if abs(sum(shares) - 1) > 1e-6 or min(shares) <= 0:
            raise ValueError("three shares above 0 that sum to 1")
        return self


class Split(Section):
    """How images become training, validation and test."""

    ratios: Ratios
    subset: Annotated[float, Field(gt=0, le=1)]
    max_images: Count | None
    folds: Annotated[int, Field(ge=3, le=20)] | None
    max_bad_fraction: Share
    seed: Seed


class Audit(Section):
    """How copies among the images are looked for, and what is done about those that stand in two splits."""

    neighbours: Annotated[int, Field(ge=0)]
    likeness: Annotated[float, Field(gt=0, le=1)]
    crossing: Literal["regroup", "drop", "refuse", "trust"]


class Denoise(Section):
    """The filter, and how its quality is measured."""

    method: str
    options: dict[str, int | float | str]
    sigma: Positive | None
    working_px: Annotated[int, Field(ge=32)]
    quality_images: Count
    quality_sigma: Positive
    store_gb: Annotated[float, Field(ge=0)]
    seed: Seed


class Prepare(Section):
    """The size and shape of what the networks see."""

    img_px: Annotated[int, Field(ge=8)]
    resize: Literal["pad", "stretch"]


class Weights(Section):
    """Where the backbones' starting weights come from."""

    source: Literal["random", "imagenet"]
    mirror: str | None
    files: dict[str, str]
    seed: Seed


class Features(Section):
    """How the frozen backbones are run over the images."""

    batch_images: Count


class Augment(Section):
    """How far a training image may be moved about at random; validation and test images never are."""

    rotation_deg: Annotated[float, Field(ge=0, le=180)]
    shift: Annotated[float, Field(ge=0, lt=1)]
    zoom: Annotated[float, Field(ge=0, lt=1)]
    shear_deg: Annotated[float, Field(ge=0, lt=90)]
    flip: bool
    copies: Annotated[int, Field(ge=0)]
    seed: Seed


class FineTune(Section):
    """The second phase of a training that also changes the upper blocks of its backbones."""

    blocks: dict[str, str]
    epochs: Count
    learning_rate: Positive


class Train(Section):
    """How a head or a network is fitted."""

    mode: Literal["frozen", "fine_tune", "full"]
    head: Literal["standard", "bare"]
    standardize: bool
    output: Literal["softmax", "sigmoid"]
    loss: Literal["cross_entropy", "focal"]
    focal_gamma: Annotated[float, Field(ge=0)]
    label_smoothing: Annotated[float, Field(ge=0, lt=1)]
    class_weights: Literal["balanced", "none"]
    epochs: Count
    batch_images: Count
    optimizer: Literal["adam", "adamw", "adamax"]
    learning_rate: Positive
    schedule: Literal["constant", "plateau", "cosine"]
    warmup_epochs: Annotated[int, Field(ge=0)]
    lr_factor: Annotated[float, Field(gt=0, lt=1)]
    lr_patience: Count
    min_lr: Annotated[float, Field(ge=0)]
    dropout: Annotated[float, Field(ge=0, lt=1)]
    dropout_2: Annotated[float, Field(ge=0, lt=1)]
    patience: Count
    mixed_precision: bool
    deterministic: bool
    repeats: Count
    seed: Seed


class Evaluate(Section):
    """How sure the numbers are."""

    resamples: Annotated[int, Field(ge=100)]
    confidence: Annotated[float, Field(gt=0, lt=1)]
    seed: Seed


class Aggregate(Section):
    """What is made of the study's models together."""

    ensembles: list[Literal["mean", "weighted", "majority", "stacking"]]


class Explain(Section):
    """Which test images a network's heat maps are drawn for."""

    right: Count
    wrong: Count
    seed: Seed


class Compute(Section):
    """Where work on many images is done."""

    backend: Literal["local", "dask"]
    scheduler: str | None

    @model_validator(mode="after")
    def _scheduler_is_named(self) -> "Compute":
        if self.backend == "dask" and not self.scheduler:
            raise ValueError("compute.scheduler to be an address, as tcp://10.0.0.5:8786, where the backend is dask")
        return self


class Track(Section):
    """What MLflow is told."""

    experiment: str
    registered: bool = Field(alias="register")  # a pydantic model has a method of that name


Inputs = Annotated[list[str], Field(min_length=1, max_length=2)]


class Model(Section):
    """A model of the study: how it is trained, and the outputs of earlier stages that it is trained on."""

    mode: Literal["scratch", "frozen", "fine_tune", "full"]
    images: str
    features: Inputs
    weights: Inputs
    fine_tune: FineTune | None = None


class Network(Section):
    """What heat maps are drawn from besides the model and the images: its backbones' weights."""

    weights: Inputs


class Backbone(Section):
    """A backbone of the study, and the file that its weights stage watches."""

    watch: str
