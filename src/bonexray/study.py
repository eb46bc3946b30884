"""The settings of a whole study, `params.yaml`."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from bonexray.aggregate.settings import Aggregate
from bonexray.augment.settings import Augment
from bonexray.base.config import PARAMS, Section, findings_in, load, read_params
from bonexray.base.errors import BonexrayError
from bonexray.compute import Compute
from bonexray.dataset.settings import Dataset
from bonexray.denoise.settings import Denoise
from bonexray.evaluate.settings import Evaluate
from bonexray.explain.settings import Explain
from bonexray.external.settings import ExternalCohort
from bonexray.features.settings import BackboneRow, Features, Weights
from bonexray.learning_curve.settings import LearningCurve
from bonexray.licences import Licences
from bonexray.phantom.settings import Phantom
from bonexray.prepare.settings import Prepare
from bonexray.split.settings import Audit, Split
from bonexray.tracking.settings import Track
from bonexray.train.settings import FineTune, ModelRow, Train

DERIVED = ("models", "backbones", "panel", "cohorts")  # sections that follow from others, see derived_params.py


class Settings(Section):
    """All sections of `params.yaml`, in the order of the file."""

    phantom: Phantom = Phantom()
    split: Split = Split()
    audit: Audit = Audit()
    denoise: Denoise = Denoise()
    prepare: Prepare = Prepare()
    weights: Weights = Weights()
    licences: Licences = Licences()
    features: Features = Features()
    augment: Augment = Augment()
    train: Train = Train()
    fine_tune: FineTune = FineTune()
    evaluate: Evaluate = Evaluate()
    explain: Explain = Explain()
    learning_curve: LearningCurve = LearningCurve()
    aggregate: Aggregate = Aggregate()
    compute: Compute = Compute()
    track: Track = Track()
    model: str | list[str] = "all"
    mode: Literal["frozen", "fine_tune", "full"] = "frozen"
    modes: dict[str, Literal["frozen", "fine_tune", "full"]] = Field(default_factory=dict)
    models: Annotated[dict[str, ModelRow], Field(min_length=1)]
    backbones: dict[str, BackboneRow]
    panel: list[str]
    cohorts: dict[str, list[str]] = Field(default_factory=dict)
    dataset: Dataset
    external: dict[str, ExternalCohort] = Field(default_factory=dict)


def load_settings(path: Path | str = PARAMS) -> Settings:
    """Read the settings of a whole study.

    Raises:
        BonexrayError: the file is missing or is not YAML, a key is unknown, or a value is refused.
    """
    return load(Settings, path)


def setting_findings(path: Path | str = PARAMS) -> list[BonexrayError]:
    """Return every problem of the settings file itself as an error; what follows from a wrong choice is no other one."""
    try:
        findings = findings_in(read_params(path), Settings, path)
    except BonexrayError as error:
        return [error]
    derived = tuple(f"{path}: {section}." for section in DERIVED)
    choices = [finding for finding in findings if not finding.what.startswith(derived)]
    return choices or findings
