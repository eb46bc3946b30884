"""Settings: the base class of sections, and the reader of `params.yaml`."""

from bonexray.base.config.params import PARAMS, StageSettings, findings_in, load, read_params
from bonexray.base.config.section import Count, Positive, Section, Seed, Share

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
