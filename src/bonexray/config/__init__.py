"""Settings: the base class of their sections, and how `params.yaml` is read and refused."""

from bonexray.config.params import PARAMS, StageSettings, findings_in, load, read_params
from bonexray.config.section import Count, Positive, Section, Seed, Share

__all__ = [
    "PARAMS",
    "Count",
    "Positive",
    "Section",
    "Seed",
    "Share",
    "StageSettings",
    "findings_in",
    "load",
    "read_params",
]
