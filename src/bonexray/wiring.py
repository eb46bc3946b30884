"""What follows from the table of models: the part of `params.yaml` that DVC needs besides the user's choices.

`models` and `backbones` hold a row for each that takes part in the study, and a changed row runs its stages again.
`panel` names, for every model of the table, a model of the study: itself, or the first one where it takes no part,
because DVC takes no list for a dependency and needs a path in each line.
"""

import difflib
from collections.abc import Iterable, Mapping

from bonexray.errors import BonexrayError
from bonexray.registry import BACKBONES, FINE_TUNE, REGISTRY, SCRATCH, Backbone, model_row

ALL = "all"
ENCODER = "src/bonexray/backbones/encoder.py"


def derived(choices: Mapping[str, object]) -> dict[str, dict]:
    """Return `models`, `backbones` and `panel` for a study.

    Args:
        choices: of `params.yaml` `model`, `mode`, `modes`, `fine_tune` and `weights`.

    Raises:
        BonexrayError: `model` names no model of the table.
    """
    names = chosen_models(choices["model"])
    backbones = dict.fromkeys(backbone for name in names for backbone in REGISTRY[name].backbones)
    return {
        "models": {name: _model(name, choices) for name in names},
        "backbones": {name: _backbone(name, choices["weights"]["files"]) for name in backbones},
        "panel": {name: name if name in names else names[0] for name in REGISTRY},
    }


def chosen_models(value: str | Iterable[str]) -> list[str]:
    """Return the names of the models that `model` chooses: one, several, or `all`.

    Raises:
        BonexrayError: there is no such model, or none is named.
    """
    names = list(dict.fromkeys([value] if isinstance(value, str) else value))
    if ALL in names:
        return list(REGISTRY)
    if not names:
        raise BonexrayError("model", expected="at least one name", received="none", do="set model=all, or a name")
    for name in names:
        if name not in REGISTRY:
            near = difflib.get_close_matches(str(name), REGISTRY, n=1)
            hint = f"{near[0]!r}, perhaps, or another of " if near else "one of "
            expected = f"{hint}{ALL}, {', '.join(REGISTRY)}"
            raise BonexrayError("model", expected=expected, received=repr(name), do="correct the name")
    return names


def _model(name: str, choices: Mapping) -> dict[str, object]:
    row = model_row(name)
    if not row.backbones:
        return {"mode": SCRATCH, "inputs": [_builder_file(name)], "heat_map": row.heat_map}
    mode = choices["modes"].get(name, choices["mode"])
    content: dict[str, object] = {"mode": mode, "inputs": [f"data/features/{backbone}" for backbone in row.backbones]}
    if row.head:
        content["head"] = row.head
    if mode == FINE_TUNE:
        blocks = {b: choices["fine_tune"]["blocks"].get(b, BACKBONES[b].fine_tune_from) for b in row.backbones}
        content["fine_tune"] = {**choices["fine_tune"], "blocks": blocks}
    return content


def _backbone(name: str, files: Mapping[str, str]) -> dict[str, str]:
    row = BACKBONES[name]
    code = ENCODER if row.builder else _builder_file(name)
    return {"row": in_words(name, row), "watch": files.get(name, code)}


def in_words(name: str, row: Backbone) -> str:
    """Return the facts of a backbone that decide its features and its heat maps."""
    facts = [row.builder or name, row.convention, f"heat maps from {row.heat_map}"]
    if row.published and row.published.hash:
        facts.append(f"weights {row.published.hash[:8]}")
    return ", ".join(facts)


def _builder_file(name: str) -> str:
    return f"src/bonexray/builders/{name}.py"
