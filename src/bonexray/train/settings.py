"""The sections `train` and `fine_tune` of the settings, and the rows of `models`."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from bonexray.base.config import Count, Positive, Section, Seed
from bonexray.networks.settings import HeadSettings


class FineTune(Section):
    """Second phase of training, which also changes the upper blocks of the backbones."""

    blocks: dict[str, str] = Field(default_factory=dict)
    epochs: Count = 10
    learning_rate: Positive = 1e-4


class Train(HeadSettings):
    """Loss, optimiser, schedule and stopping of training."""

    loss: Literal["cross_entropy", "focal"] = "cross_entropy"
    focal_gamma: Annotated[float, Field(ge=0)] = 2.0
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    class_weights: Literal["balanced", "none"] = "balanced"
    epochs: Count = 15
    batch_images: Count = 16
    optimizer: Literal["adam", "adamw", "adamax"] = "adam"
    learning_rate: Positive = 1e-3
    weight_decay: Annotated[float, Field(ge=0)] | None = None
    schedule: Literal["constant", "plateau", "cosine"] = "plateau"
    warmup_epochs: Annotated[int, Field(ge=0)] = 0
    lr_factor: Annotated[float, Field(gt=0, lt=1)] = 0.5
    lr_patience: Count = 4
    min_lr: Annotated[float, Field(ge=0)] = 1e-5
    patience: Count = 5
    mixed_precision: bool = False
    deterministic: bool = True
    repeats: Count = 1
    seed: Seed = 7


class ModelRow(Section):
    """A model of the study: its mode of training, and the folders of features or the code that it depends on.

    An `output` replaces the setting `train.output`. A network trained from scratch names its own layer of heat maps and
    has no other mode; one that is taught where findings are names the layer that says so. For models with backbones, the
    default mode is `frozen`.
    """

    inputs: Annotated[list[str], Field(min_length=1, max_length=2)]
    head: str | None = None
    output: Literal["cumulative", "corn"] | None = None
    heat_map: str | None = None
    locator: str | None = None
    mode: Literal["scratch", "frozen", "fine_tune", "full", "baseline"] = Field(
        default_factory=lambda row: "scratch" if row.get("heat_map") else "frozen"
    )
    fine_tune: FineTune | None = None

    @property
    def features(self) -> list[Path]:
        """Return the folders of the backbones' features; none for a network from scratch or a baseline."""
        return [] if self.mode in ("scratch", "baseline") else [Path(folder) for folder in self.inputs]
