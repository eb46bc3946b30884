"""A config as settings, composed from conf/ by Hydra as DVC composes params.yaml."""

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

from bonexray import composition
from bonexray.check import settings_findings
from bonexray.errors import BonexrayError
from bonexray.experiment.keys import CONF, OPEN, full_names, shown
from bonexray.study import Settings, load_settings, setting_findings

DO = "correct it in the config"


def compose(config: Mapping[str, object]) -> tuple[str, Settings]:
    """The text of params.yaml for a config, and the settings that it says.

    Args:
        config: see `full_names`.

    Raises:
        BonexrayError: a key is unknown, a value is refused, or the settings do not fit each other.
    """
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    chosen = [override(name, value) for name, value in full_names(config).items()]
    with tempfile.TemporaryDirectory() as place:
        target = Path(place) / "params.yaml"
        try:
            composition.compose(target, CONF, chosen)
        except (HydraException, OmegaConfBaseException) as error:
            received = " ".join(str(error).split())[:200]
            raise BonexrayError("config", expected="values that Hydra takes", received=received, do=DO) from None
        for finding in setting_findings(target):
            key = finding.what.removeprefix(f"{target}: ")
            raise BonexrayError(f"config: {shown(key)}", expected=finding.expected, received=finding.received, do=DO)
        settings = load_settings(target)
        for finding in settings_findings(settings):
            raise finding
        return target.read_text(encoding="utf-8"), settings


def override(name: str, value: object) -> str:
    """A setting as Hydra's command line takes it; `++` names what conf/ does not, in mappings that are open for it."""
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
    if isinstance(value, Mapping) and not value:
        return "{}"
    raise BonexrayError(
        f"config: {shown(name)}", expected="a number, a text, a list or None", received=repr(value)[:120], do=DO
    )


def _escaped(text: str) -> str:
    """Within double quotes: a quote behind a backslash, and backslashes doubled where a quote follows them."""
    return re.sub(r'(\\*)("|\Z)', lambda found: found[1] * 2 + ('\\"' if found[2] else ""), text)
