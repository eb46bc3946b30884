"""`params.yaml` as typed, validated, frozen settings."""

from bonexray.config.sections import (
    Aggregate,
    Audit,
    Augment,
    Compute,
    Dataset,
    Denoise,
    Evaluate,
    FineTune,
    Model,
    Prepare,
    Section,
    Split,
    Train,
    Weights,
)
from bonexray.config.settings import PARAMS, Settings, load_settings, setting_findings

__all__ = [
    "PARAMS",
    "Aggregate",
    "Audit",
    "Augment",
    "Compute",
    "Dataset",
    "Denoise",
    "Evaluate",
    "FineTune",
    "Model",
    "Prepare",
    "Section",
    "Settings",
    "Split",
    "Train",
    "Weights",
    "load_settings",
    "setting_findings",
]
