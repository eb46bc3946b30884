"""Read `params.yaml` into typed settings, and report what is wrong with it key by key."""

import difflib
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from ruamel.yaml import YAML, YAMLError

from bonexray.base.errors import BonexrayError

PARAMS = Path("params.yaml")
HOW_TO_CHANGE = "correct it in conf/config.yaml or with `dvc exp run -S`"
RENAMED = {"train.mode": "mode", "augment.copies": "features.copies"}  # since 0.1.0


class StageSettings(BaseModel):
    """The sections of `params.yaml` that a stage reads, one field each; all others are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


Settings = TypeVar("Settings", bound=BaseModel)


def load(kind: type[Settings], path: Path | str = PARAMS) -> Settings:
    """Read a YAML file into a class of settings.

    Args:
        kind: the class, with one field for each section.
        path: the file.

    Raises:
        BonexrayError: the file is missing or is not YAML, a key is unknown, or a value is refused.
    """
    content = read_params(path)
    findings = findings_in(content, kind, path)
    if findings:
        raise findings[0]
    return kind.model_validate(content)


def read_params(path: Path | str = PARAMS) -> dict:
    """Return the content of a settings file as DVC reads it: YAML 1.2, in which 1e-3 is a number.

    Raises:
        BonexrayError: the file is missing, or is not a YAML mapping.
    """
    do = "run this from the repository's root; `git checkout params.yaml` restores it"
    try:
        content = YAML(typ="safe").load(Path(path))
    except FileNotFoundError:
        raise BonexrayError(str(path), expected="the study's settings", received="no such file", do=do) from None
    except YAMLError as error:
        reason = " ".join(str(error).split())
        raise BonexrayError(str(path), expected="YAML", received=reason, do=do) from None
    if not isinstance(content, dict):
        raise BonexrayError(str(path), expected="sections", received=type(content).__name__, do=do)
    return content


def findings_in(content: dict, kind: type[BaseModel], path: Path | str = PARAMS) -> list[BonexrayError]:
    """Return every problem of a settings file's content as an error."""
    try:
        kind.model_validate(content)
    except ValidationError as error:
        return [_finding(kind, path, detail) for detail in error.errors()]
    return []


def _finding(kind: type[BaseModel], path: Path | str, detail: dict) -> BonexrayError:
    key = ".".join(str(part) for part in detail["loc"])
    what = f"{path}: {key}"
    if detail["type"] == "extra_forbidden":
        expected = f"{RENAMED[key]!r}, its new name" if key in RENAMED else _valid_keys(kind, detail["loc"])
        return BonexrayError(what, expected=expected, received="an unknown key", do=HOW_TO_CHANGE)
    if detail["type"] == "missing":
        return BonexrayError(what, expected="a value", received="no such key", do=HOW_TO_CHANGE)
    expected = detail["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    return BonexrayError(what, expected=expected, received=_shortened(detail["input"]), do=HOW_TO_CHANGE)


def _shortened(value: object) -> str:
    return " ".join(f"{value if isinstance(value, dict) else repr(value)}".split())[:120]


def _valid_keys(kind: type[BaseModel], location: tuple) -> str:
    section: object = kind
    for part in location[:-1]:
        field = getattr(section, "model_fields", {}).get(str(part))
        section = field.annotation if field else None
    keys = list(getattr(section, "model_fields", {}))
    near = difflib.get_close_matches(str(location[-1]), keys, n=1)
    return f"{near[0]!r}, perhaps" if near else f"one of {', '.join(keys)}"
