"""`params.yaml` as a whole: read, held against its sections, and refused key by key before any work is done."""

import difflib
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError
from ruamel.yaml import YAML, YAMLError

from bonexray.config.sections import (
    Aggregate,
    Audit,
    Augment,
    Backbone,
    Compute,
    Dataset,
    Denoise,
    Evaluate,
    Explain,
    Features,
    FineTune,
    Model,
    Network,
    Phantom,
    Prepare,
    Section,
    Split,
    Track,
    Train,
    Weights,
)
from bonexray.errors import BonexrayError

PARAMS = Path("params.yaml")
HOW_TO_CHANGE = "correct it in conf/config.yaml or with `dvc exp run -S`"


class Settings(Section):
    """All of `params.yaml`."""

    dataset: Dataset
    phantom: Phantom
    split: Split
    audit: Audit
    denoise: Denoise
    prepare: Prepare
    weights: Weights
    features: Features
    augment: Augment
    train: Train
    fine_tune: FineTune
    evaluate: Evaluate
    aggregate: Aggregate
    explain: Explain
    compute: Compute
    track: Track
    modes: dict[str, str]
    unread: dict[str, dict[str, str]]
    models: Annotated[dict[str, Model], Field(min_length=1)]
    backbones: dict[str, Backbone]
    evaluated: dict[str, str]
    trained: dict[str, str]
    drawn: dict[str, str]
    explained: dict[str, str]
    networks: dict[str, Network]
    curves: dict[str, list[str]]
    confusion: dict[str, str]
    roc: dict[str, str]
    calibration: dict[str, str]


def load_settings(path: Path | str = PARAMS) -> Settings:
    """Read and validate the settings.

    Raises:
        BonexrayError: the file is missing or no YAML, a key is unknown or missing, or a value is refused.
    """
    findings = setting_findings(path)
    if findings:
        raise findings[0]
    return Settings.model_validate(_read(path))


def setting_findings(path: Path | str = PARAMS) -> list[BonexrayError]:
    """Everything that is wrong with the settings file itself, one error a finding."""
    try:
        Settings.model_validate(_read(path))
    except BonexrayError as error:
        return [error]
    except ValidationError as error:
        return [_finding(path, detail) for detail in error.errors()]
    return []


def _read(path: Path | str) -> dict:
    do = "run this from the repository's root; `git checkout params.yaml` restores it"
    try:
        content = YAML(typ="safe").load(Path(path))  # as DVC reads it: 1e-3 is a number
    except FileNotFoundError:
        raise BonexrayError(str(path), expected="the study's settings", received="no such file", do=do) from None
    except YAMLError as error:
        where = " ".join(str(error).split())
        raise BonexrayError(str(path), expected="YAML", received=where, do=do) from None
    if not isinstance(content, dict):
        raise BonexrayError(str(path), expected="sections", received=type(content).__name__, do=do)
    return content


def _finding(path: Path | str, detail: dict) -> BonexrayError:
    key = ".".join(str(part) for part in detail["loc"])
    what = f"{path}: {key}"
    if detail["type"] == "extra_forbidden":
        return BonexrayError(what, expected=_known_keys(detail["loc"]), received="an unknown key", do=HOW_TO_CHANGE)
    if detail["type"] == "missing":
        return BonexrayError(what, expected="a value", received="no such key", do=HOW_TO_CHANGE)
    expected = detail["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    return BonexrayError(what, expected=expected, received=_shown(detail["input"]), do=HOW_TO_CHANGE)


def _shown(value: object) -> str:
    return " ".join(f"{value if isinstance(value, dict) else repr(value)}".split())[:120]


def _known_keys(location: tuple) -> str:
    section: object = Settings
    for part in location[:-1]:
        field = getattr(section, "model_fields", {}).get(str(part))
        section = field.annotation if field else None
    known = list(getattr(section, "model_fields", {}))
    near = difflib.get_close_matches(str(location[-1]), known, n=1)
    return f"{near[0]!r}, perhaps" if near else f"one of {', '.join(known)}"
