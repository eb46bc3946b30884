"""Composition of settings from conf/ and a config, with Hydra, just as DVC composes params.yaml."""

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

from bonexray import composition
from bonexray.base.errors import BonexrayError
from bonexray.check import settings_findings
from bonexray.experiment.keys import CONF, OPEN, full_names, with_short_name
from bonexray.study import Settings, load_settings, setting_findings

DO = "correct it in the config"


def compose(config: Mapping[str, object]) -> tuple[str, Settings]:
    """Return the text of params.yaml for a config, and the settings in it.

    Args:
        config: see `full_names`.

    Raises:
        BonexrayError: a key is unknown, a value is refused, or two settings contradict each other.
    """
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    overrides = [override(name, value) for name, value in full_names(config).items()]
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "params.yaml"
        try:
            composition.compose(target, CONF, overrides)
        except (HydraException, OmegaConfBaseException) as error:
            received = " ".join(str(error).split())[:200]
            raise BonexrayError("config", expected="values that Hydra accepts", received=received, do=DO) from None
        for finding in setting_findings(target):
            key = finding.what.removeprefix(f"{target}: ")
            raise BonexrayError(
                f"config: {with_short_name(key)}", expected=finding.expected, received=finding.received, do=DO
            )
        settings = load_settings(target)
        for finding in settings_findings(settings):
            raise finding
        return target.read_text(encoding="utf-8"), settings


def override(name: str, value: object) -> str:
    """Return an override in the syntax of Hydra's command line; its `++` allows new keys in the open mappings."""
    new = "++" if name.startswith(tuple(f"{mapping}." for mapping in OPEN)) else ""
    if name == "model":
        return f"model=[{','.join(value)}]"
    return f"{new}{name}={_literal(name, value)}"


def _literal(name: str, value: object) -> str:
    value = value.item() if hasattr(value, "item") else value  # NumPy's scalars
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str | Path):
        return f'"{_escaped(str(value))}"'
    if isinstance(value, list | tuple):
        return f"[{','.join(_literal(name, item) for item in value)}]"
    if isinstance(value, Mapping) and (not value or name.startswith(("weights.files.", "external."))):
        return f"{{{','.join(f'{key}:{_literal(name, item)}' for key, item in value.items())}}}"
    raise BonexrayError(
        f"config: {with_short_name(name)}",
        expected="a number, a string, a list or None",
        received=repr(value)[:120],
        do=DO,
    )


def _escaped(text: str) -> str:
    """Escape quotes with a backslash, and double the backslashes before a quote or at the end of the text."""
    return re.sub(r'(\\*)("|\Z)', lambda match: match[1] * 2 + ('\\"' if match[2] else ""), text)
