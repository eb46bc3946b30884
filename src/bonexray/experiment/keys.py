"""The keys of a config: short names, full names of settings, and names of files in conf/."""

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path

from bonexray.base.config import Section
from bonexray.base.config.params import RENAMED
from bonexray.base.errors import BonexrayError
from bonexray.registry import GROUPS, MODEL_NAMES, is_model, model_title
from bonexray.resources import resource_path
from bonexray.study import Settings

CONF = resource_path("conf")
SHORT = {
    "img_size": "prepare.img_px",
    "batch_size": "train.batch_images",
    "epochs": "train.epochs",
    "learning_rate": "train.learning_rate",
    "dropout_rate": "train.dropout",
    "use_subset": "split.subset",
    "patience": "train.patience",
    "lr_factor": "train.lr_factor",
    "min_lr": "train.min_lr",
    "models": "model",
}
CHOSEN = ("dataset", "preset")  # each selects a file from the folder in conf/ with its name
TOP_LEVEL = ("model", "mode", "modes", "external")  # settings outside sections; other sections are derived from them
QUICK = 0.02  # the share of the patients that use_subset=True selects
PATHS = ("dataset.root", "dataset.csv", "dataset.reference", "weights.mirror")


def _names(section: type[Section], prefix: str = "") -> Iterator[tuple[str, bool]]:
    for key, field in section.model_fields.items():
        name, kind = f"{prefix}{field.alias or key}", field.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            yield from _names(kind, f"{name}.")
        elif prefix or key in TOP_LEVEL:
            yield name, str(kind).startswith("dict")


KNOWN = dict(_names(Settings))  # full name to True if the user may choose the keys of its mapping
OPEN = tuple(name for name, is_mapping in KNOWN.items() if is_mapping)
SECTIONS = {name.rsplit(".", 1)[0] for name in KNOWN if "." in name}


def full_names(config: Mapping[str, object]) -> dict[str, object]:
    """Return a config with every key replaced by its full name and every value converted for that setting.

    Args:
        config: short names (the keys of `SHORT`), full names such as `train.loss`, sections as mappings, and the names
            of a `dataset` and a `preset`.

    Raises:
        BonexrayError: a key is unknown or is given twice, or there is no model, dataset or preset of that name.
    """
    values: dict[str, object] = {}
    for key, value in _flat(config):
        name = SHORT.get(key, key)
        if name in values:
            raise _refused(key, "each setting once", f"{name} twice", "remove one of them")
        values[name] = _value(key, name, value)
    return values


def with_short_name(name: str) -> str:
    """Return a setting's name followed by its short name, if any: `prepare.img_px (img_size)`."""
    short = [key for key, full in SHORT.items() if full == name]
    return f"{name} ({short[0]})" if short else name


def _flat(config: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    for key, value in config.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and (name in SECTIONS or (name in OPEN and value)):
            yield from _flat(value, f"{name}.")
        else:
            _require_known(name)
            yield name, value


def _require_known(key: str) -> None:
    if key in (*SHORT, *CHOSEN, *KNOWN) or key.startswith(tuple(f"{name}." for name in OPEN)):
        return
    if key in RENAMED:
        raise _refused(key, f"{RENAMED[key]!r}, its new name", "an unknown key", "rename it")
    if key in SECTIONS:
        raise _refused(
            key, "a mapping of settings", "something else", f"write {{'{key}': {{...}}}}, or the full name of a setting"
        )
    similar = difflib.get_close_matches(key, [*SHORT, *CHOSEN, *KNOWN], n=1)
    expected = (
        f"{similar[0]!r}, perhaps"
        if similar
        else f"one of {', '.join(SHORT)}, or a setting's full name such as `train.loss`"
    )
    raise _refused(key, expected, "an unknown key", "see conf/config.yaml, which explains every setting")


def _value(key: str, name: str, value: object) -> object:
    if name == "model":
        return model_names(value)
    if name in CHOSEN:
        files = sorted(path.stem for path in (CONF / name).glob("*.yaml"))
        return _one_of(key, value, dict(zip(files, files, strict=True)))
    if key == "use_subset" and (value is None or isinstance(value, bool)):
        return QUICK if value else 1.0
    if key == "img_size" and isinstance(value, tuple | list) and len(set(value)) == 1:
        return value[0]  # (224, 224)
    is_path = name in PATHS or name.startswith("weights.files.")
    if name.startswith("weights.files.") and isinstance(value, Mapping) and "path" in value:
        return {**value, "path": _value(key, name, value["path"])}
    if name.startswith("external.") and isinstance(value, Mapping):
        return {part: _value(key, f"dataset.{part}", own) for part, own in value.items()}
    if is_path and isinstance(value, str | Path) and "://" not in str(value):
        return str(Path(value).expanduser().resolve())
    return value


def model_names(value: object) -> list[str]:
    """Return the registry's names of models that are given by name, by title such as `InceptionV3`, or as a group.

    Args:
        value: one name, or several.

    Raises:
        BonexrayError: there is no such model, or none is named.
    """
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list | tuple) or not names:
        raise _refused("models", "a name or a list of names", repr(value), "give at least one name, or 'all'")
    valid = [*MODEL_NAMES, *(name for name in names if isinstance(name, str) and is_model(name))]  # with variants
    known = {_letters(group): group for group in GROUPS}
    known |= {_letters(model_title(name)): name for name in valid}
    known |= {_letters(name): name for name in valid}
    return list(dict.fromkeys(_one_of("models", _letters(name), known, name) for name in names))


def _letters(name: object) -> str:
    return "".join(character for character in str(name).lower() if character.isalnum())


def _one_of(key: str, value: object, known: Mapping[str, str], received: object = None) -> str:
    if str(value) in known:
        return known[str(value)]
    similar = difflib.get_close_matches(str(value), list(known), n=1)
    names = ", ".join(dict.fromkeys(known.values()))
    expected = f"{known[similar[0]]!r}, perhaps, or another of {names}" if similar else f"one of {names}"
    raise _refused(key, expected, repr(value if received is None else received), "correct the name")


def _refused(key: str, expected: str, received: str, do: str) -> BonexrayError:
    return BonexrayError(f"config: {key}", expected=expected, received=received, do=do)
