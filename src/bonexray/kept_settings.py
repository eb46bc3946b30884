"""The settings that a study keeps at every `dvc exp run`: conf/local/study.yaml, composed after all other files.

`bonexray use` writes the file. Whoever wants to share the choice commits it.
"""

import io
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from ruamel.yaml import YAML, YAMLError

from bonexray.base.config import PARAMS, read_params
from bonexray.base.errors import BonexrayError
from bonexray.base.files import atomic_file
from bonexray.check import settings_findings
from bonexray.composition import compose
from bonexray.study import DERIVED, load_settings, setting_findings

CONF = Path("conf")
KEPT = CONF / "local" / "study.yaml"
GROUPS = ("dataset", "preset")
GLOBAL = "# @package _global_"
HEAD = f"{GLOBAL}\n# Written by `bonexray use`; composed after all other files of conf/.\n"
EXAMPLE = "bonexray use dataset=folder train.epochs=4"


def keep(overrides: Sequence[str], drop: Sequence[str] = ()) -> list[str]:
    """Add settings to those that the study keeps, and compose params.yaml anew.

    Args:
        overrides: choices and settings in the syntax of `dvc exp run -S`.
        drop: names that are no longer kept.

    Returns:
        All that is kept now, as `kept` returns it.

    Raises:
        BonexrayError: an override cannot be read, or the settings that follow are refused; nothing is changed then.
    """
    if not (CONF / "config.yaml").is_file():
        do = "run this from the repository's root"
        raise BonexrayError("conf/config.yaml", expected="a checkout of bonexray", received="no such file", do=do)
    values = _read() | dict(map(_parsed, overrides))
    for name in drop:
        if name not in values:
            raise BonexrayError(
                "--drop", expected=f"one of {', '.join(values) or 'nothing'}", received=name, do="correct the name"
            )
        del values[name]
    with TemporaryDirectory() as folder:
        trial = Path(folder) / "conf"
        shutil.copytree(CONF, trial)
        _write(trial / KEPT.relative_to(CONF), values)
        params = Path(folder) / PARAMS
        _compose(params, trial)
        content = params.read_text(encoding="utf-8")
    _write(KEPT, values)
    with atomic_file(Path(PARAMS)) as partial:
        partial.write_text(content, encoding="utf-8")
    return kept()


def kept() -> list[str]:
    """Return the settings that the study keeps, as `name=value`."""
    return [f"{name}={_text(value)}" for name, value in _read().items()]


def differing_settings() -> dict[str, tuple[object, object]]:
    """Return the settings whose value in params.yaml is not that of conf/, each with both values."""
    if not (CONF / "config.yaml").is_file():
        return {}
    with TemporaryDirectory() as folder:
        composed = Path(folder) / PARAMS
        _compose(composed, CONF)
        theirs = dict(_flat(read_params(composed)))
    ours = dict(_flat(read_params(PARAMS)))
    names = [name for name in dict.fromkeys([*ours, *theirs]) if ours.get(name) != theirs.get(name)]
    derived = (*DERIVED, "dataset.inputs")
    own = [name for name in names if not name.startswith(tuple(f"{part}." for part in derived)) and name not in derived]
    return {name: (ours.get(name), theirs.get(name)) for name in own}


def difference_line(differing: Mapping[str, tuple[object, object]]) -> str:
    """Return in one line what `dvc repro` and `dvc exp run` would take differently."""
    shown = ", ".join(f"{name} {_text(ours)} (conf/: {_text(theirs)})" for name, (ours, theirs) in differing.items())
    return (
        f"params.yaml differs from conf/: {shown}. `dvc repro` takes params.yaml, `dvc exp run` takes conf/; "
        "`bonexray use` composes params.yaml from conf/, `bonexray use NAME=VALUE` keeps a setting in both"
    )


def _compose(target: Path, conf: Path) -> None:
    """Compose the files of a folder, and require that the settings are sound.

    Raises:
        BonexrayError: a file cannot be read, the files do not go together, or a setting is refused.
    """
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError as HydrasYAMLError

    try:
        compose(target, conf)
    except (HydraException, OmegaConfBaseException, HydrasYAMLError, ValueError, OSError, RecursionError) as error:
        for path in sorted(conf.rglob("*.yaml")):
            _content(path, str(CONF / path.relative_to(conf)))  # names the file that is no YAML
        raise BonexrayError(
            f"{CONF}/", expected="settings that Hydra composes", received=_short(error), do="correct them"
        ) from None
    for finding in setting_findings(target) or settings_findings(load_settings(target)):
        what, do = finding.what.removeprefix(f"{target}: "), finding.do
        if what == KEPT.parent.name:  # the section that Hydra names after the folder
            what, do = str(KEPT), f"begin the file with `{GLOBAL}`"
        raise BonexrayError(what, expected=finding.expected, received=finding.received, do=do)


def _parsed(override: str) -> tuple[str, object]:
    """Return the name and the value of an override."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        parsed = OverridesParser.create().parse_override(override)
        readable = not parsed.is_delete() and not parsed.is_sweep_override()
    except HydraException:
        readable = False
    if not readable:
        raise BonexrayError("bonexray use", expected="NAME=VALUE", received=repr(override), do=f"write `{EXAMPLE}`")
    return parsed.key_or_group, parsed.value()


def _read() -> dict[str, object]:
    """Return the values that are kept by name, choices of files first."""
    if not KEPT.is_file():
        return {}
    content = _content(KEPT, str(KEPT))
    choices = content.pop("defaults", [])
    if not isinstance(choices, list) or not all(isinstance(choice, Mapping) for choice in choices):
        expected, do = "choices such as `- override /dataset: folder`", "correct or remove it"
        raise BonexrayError(f"{KEPT}: defaults", expected=expected, received=choices, do=do)
    chosen = {str(key).removeprefix("override /"): value for choice in choices for key, value in choice.items()}
    return {**chosen, **dict(_flat(content))}


def _content(path: Path, name: str) -> dict:
    """Return the content of a settings file; nothing if it has only comments.

    Raises:
        BonexrayError: it is not a YAML mapping.
    """
    try:
        content = YAML(typ="safe").load(path.read_text(encoding="utf-8")) or {}
    except (YAMLError, ValueError, OSError) as error:  # ValueError: not UTF-8, or no date
        raise BonexrayError(name, expected="YAML", received=_short(error), do="correct or remove it") from None
    if not isinstance(content, dict):
        received = type(content).__name__
        raise BonexrayError(name, expected="sections", received=received, do="correct or remove it")
    return content


def _short(error: Exception) -> str:
    return " ".join(str(error).replace('"<unicode string>", ', "").split())[:200]


def _write(path: Path, values: Mapping[str, object]) -> None:
    if not values:
        path.unlink(missing_ok=True)
        return
    choices = [{f"override /{group}": values[group]} for group in GROUPS if group in values]
    content: dict[str, object] = {"defaults": choices} if choices else {}
    for name, value in values.items():
        if name not in GROUPS:
            *sections, key = name.split(".")
            section = content
            for part in sections:
                section = section.setdefault(part, {})
                if not isinstance(section, dict):
                    do = f"run `bonexray use --drop {part}` first"
                    raise BonexrayError(name, expected=f"{part} to be a section", received=section, do=do)
            section[key] = value
    text = io.StringIO()
    yaml = YAML()
    yaml.dump(content, text)
    path.parent.mkdir(exist_ok=True)
    with atomic_file(path) as partial:
        partial.write_text(HEAD + text.getvalue(), encoding="utf-8")


def _flat(content: Mapping[str, object], prefix: str = "") -> list[tuple[str, object]]:
    pairs = []
    for key, value in content.items():
        name = f"{prefix}{key}"
        pairs += _flat(value, f"{name}.") if isinstance(value, Mapping) and value else [(name, value)]
    return pairs


def _text(value: object) -> str:
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
