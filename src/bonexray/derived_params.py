"""The sections of `params.yaml` that follow from others: `models`, `backbones`, `panel` and `cohorts`.

DVC runs one stage for each entry of `models` and `backbones`, and runs it again when its entry changes. The baselines
are among the models of every study. `cohorts` has the files of each external cohort. `panel` lists the models of the
study, and the first again until `SLOTS` are full. The stages that read all models need it because DVC takes a path, but
no list, as a dependency.
"""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from bonexray.base.errors import BonexrayError
from bonexray.base.hashing import digest, sha256_of
from bonexray.registry import (
    BACKBONES,
    BASELINE,
    BASELINES,
    FINE_TUNE,
    FROZEN,
    GROUPS,
    MODEL_NAMES,
    ORDINAL,
    SCRATCH,
    SLOTS,
    Backbone,
    builder_name,
    is_model,
    model_row,
    variant_of,
)

BUILDERS = Path(__file__).with_name("builders")
ENCODER = "src/bonexray/backbones/encoder.py"


def derive_params(choices: Mapping[str, object]) -> dict[str, dict]:
    """Return the sections `models`, `backbones`, `panel` and `cohorts` of a study.

    Args:
        choices: the settings `model`, `mode`, `modes`, `fine_tune`, `weights` and `external`.

    Raises:
        BonexrayError: `model` names no model of the registry, or too many.
    """
    names = list(dict.fromkeys([*chosen_models(choices["model"]), *BASELINES]))
    _require_slots(names)
    networks = [name for name in names if name not in BASELINES]
    backbones = dict.fromkeys(backbone for name in networks for backbone in model_row(name).backbones)
    return {
        "models": {name: _model_params(name, choices) for name in names},
        "backbones": {name: _backbone_params(name, choices["weights"]["files"] or {}) for name in backbones},
        "panel": names + names[:1] * (SLOTS - len(names)),
        "cohorts": {name: _inputs(cohort) for name, cohort in (choices.get("external") or {}).items()},
    }


def chosen_models(value: str | Iterable[str]) -> list[str]:
    """Return the names of the chosen models.

    Args:
        value: the setting `model`: a key of `GROUPS` such as `all`, a name, or several of these.

    Raises:
        BonexrayError: a name is unknown, or none is given.
    """
    given = [value] if isinstance(value, str) else value or []
    names = list(dict.fromkeys(name for part in given for name in GROUPS.get(part, [part])))
    if not names:
        raise BonexrayError("model", expected="at least one name", received="none", do="set model=all, or a name")
    for name in names:
        if not is_model(name):
            similar = difflib.get_close_matches(str(name), [*GROUPS, *MODEL_NAMES], n=1)
            known = f"{', '.join(GROUPS)}, or names among {', '.join(MODEL_NAMES)}"
            raise BonexrayError(
                "model",
                expected=f"{known}, or such a name with _{' or _'.join(ORDINAL)}",
                received=repr(name),
                do=f"did you mean {similar[0]!r}?" if similar else "correct the name",
            )
    return names


def _require_slots(names: list[str]) -> None:
    if len(names) > SLOTS:
        raise BonexrayError(
            "model",
            expected=f"at most {SLOTS - len(BASELINES)} models, to which the baselines come",
            received=len(names) - len(BASELINES),
            do="leave some out, or make two studies",
        )


def describe_backbone(name: str, row: Backbone) -> str:
    """Return the facts of a backbone that decide its features and heat maps, in words."""
    builder = f"{row.builder} of {row.module}" if row.builder else row.control_of or name
    facts = [builder, row.convention, f"maps {row.heat_map}"]
    if row.multiple_of > 1:
        facts.append(f"stored at {row.stored_px} px")
    if row.published:
        facts.append(
            f"weights {row.published.hash[:8] if row.published.hash else digest({'url': row.published.url})[:8]}"
        )
    return ", ".join(facts)


def _model_params(name: str, choices: Mapping) -> dict[str, object]:
    if name in BASELINES:
        return {"mode": BASELINE, "inputs": [f"src/bonexray/descriptors/{name}.py"]}
    row = model_row(name)
    default = FROZEN if row.backbones else SCRATCH  # left out, see `ModelRow`
    base, modes = variant_of(name)[0], choices["modes"] or {}
    mode = modes.get(name, modes.get(base, choices["mode"] if row.backbones else SCRATCH))
    output = {"output": row.output} if row.output else {}
    params: dict[str, object] = {} if mode == default else {"mode": mode}  # `bonexray check` refuses impossible ones
    if not row.backbones:
        located = {"locator": row.locator} if row.locator else {}
        return {**params, **output, "inputs": [_builder_path(base)], "heat_map": row.heat_map, **located}
    params |= output
    params["inputs"] = [f"data/features/{backbone}" for backbone in row.backbones]
    if row.head:
        params["head"] = row.head
    if mode == FINE_TUNE:
        blocks = {b: choices["fine_tune"]["blocks"].get(b, BACKBONES[b].fine_tune_from) for b in row.backbones}
        params["fine_tune"] = {**choices["fine_tune"], "blocks": blocks}
    return params


def _backbone_params(name: str, files: Mapping[str, object]) -> dict[str, str]:
    """Return the entry of a backbone; a file of one's own is a path, or a mapping with one and perhaps a convention."""
    file = files.get(name)
    file = file if isinstance(file, Mapping) else {"path": file}
    row = replace(BACKBONES[name], convention=file.get("convention") or BACKBONES[name].convention)
    facts = describe_backbone(name, row)
    code = ENCODER if row.builder else _builder_path(builder_name(name))
    if name not in files:
        return {"row": facts, "watch": code}
    if not row.builder:  # DVC watches the weights, so the code is a fact
        facts += f", built by {sha256_of(BUILDERS / Path(code).name)[:8]}"
    return {"row": facts, "watch": file.get("path")}


def _inputs(cohort: Mapping[str, object]) -> list[str]:
    """Return what DVC watches of an external cohort: the folder of its images, and its CSV if it has one."""
    return [str(cohort[key]) for key in ("root", "csv") if cohort.get(key)]


def _builder_path(name: str) -> str:
    return f"src/bonexray/builders/{name}.py"
