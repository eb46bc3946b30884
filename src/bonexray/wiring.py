"""What follows from the registry: conf/model/, conf/registry.yaml, lines of dvc.yaml, the README's table of models."""

import re
from pathlib import Path

from bonexray.evaluation.curves import MACRO
from bonexray.models.registry import BACKBONES, HASH_KINDS, REGISTRY, Backbone, Model
from bonexray.outputs import with_section

BEGIN, END = "<!-- models: written by `bonexray registry` -->", "<!-- end of models -->"
NOTHING = "data/split/manifest.csv"  # stands for an input that a mode does not read
HEADER = "# Written by `bonexray registry` from src/bonexray/models/registry.py."
LINES = r"(?:^ +- \$\{{{kind}\.\w+\}}\n)+"
# What later stages need of every model of the study, file by file: DVC takes no list for a dependency.
OUTPUTS = {
    "evaluated": "metrics/models/{name}.json",
    "trained": "models/{name}",
    "drawn": "reports/models/{name}",
    "explained": "reports/explained/{name}",
}


def registry_files(root: Path) -> dict[Path, str]:
    """The files that follow from the registry, as they should be.

    Args:
        root: of the repository, for the files of which only a part follows.
    """
    models = {root / f"conf/model/{name}.yaml": _model(name, row) for name, row in REGISTRY.items()}
    everything = "\n".join(["# @package _global_", HEADER, "defaults:", *(f"  - {name}" for name in REGISTRY), ""])
    dvc, readme = root / "dvc.yaml", root / "README.md"
    return {
        **models,
        root / "conf/model/all.yaml": everything,
        root / "conf/registry.yaml": _outside_the_study(),
        dvc: _with_dependencies(dvc.read_text(encoding="utf-8")),
        readme: with_section(readme.read_text(encoding="utf-8"), BEGIN, END, models_table()),
    }


def _model(name: str, row: Model) -> str:
    mode = f"models.{name}.mode"
    read = (
        ["    mode: scratch", "    images: data/prepared", f"    features: [{NOTHING}]", f"    weights: [{NOTHING}]"]
        if row.builder
        else [
            f"    mode: ${{oc.select:modes.{name},${{train.mode}}}}",
            f"    images: {_unless_unread(mode, 'images', 'data/prepared')}",
            "    features:",
            *(f"      - {_unless_unread(mode, 'features', f'data/features/{b}')}" for b in row.backbones),
            "    weights:",
            *(f"      - {_unless_unread(mode, 'weights', f'weights/{b}.weights.h5')}" for b in row.backbones),
            "    fine_tune: ${fine_tune}",
        ]
    )
    watched = [
        f"  {b}:\n    watch: ${{oc.select:weights.files.{b},src/bonexray/models}}" for b in row.backbones
    ]  # DVC needs a path: without a file of one's own, one that is a dependency anyway
    stored = [f"weights/{b}.weights.h5" for b in row.backbones] or [NOTHING]
    return "\n".join(
        [
            "# @package _global_",
            HEADER,
            "models:",
            f"  {name}:",
            *read,
            *(["backbones:", *watched] if watched else []),
            *(line for kind, path in OUTPUTS.items() for line in (f"{kind}:", f"  {name}: {path.format(name=name)}")),
            "curves:",
            f"  models/{name}/history.csv: [loss, val_loss]",
            "confusion:",
            f"  reports/models/{name}/results_{name}.csv: prediction",
            "roc:",
            f"  reports/models/{name}/{name}_roc.csv: {MACRO}",
            "calibration:",
            f"  reports/models/{name}/{name}_reliability.csv: accuracy",
            "networks:",
            f"  {name}:",
            f"    weights: [{', '.join(stored)}]",
            "",
        ]
    )


def _unless_unread(mode: str, kind: str, path: str) -> str:
    return f"${{oc.select:unread.${{{mode}}}.{kind},{path}}}"


def _outside_the_study() -> str:
    lines = [line for kind in OUTPUTS for line in (f"{kind}:", *(f"  {name}: {NOTHING}" for name in REGISTRY))]
    why = "# A model outside the study stands with a file that is there anyway."
    return "\n".join(["# @package _global_", HEADER, why, *lines, ""])


def _with_dependencies(text: str) -> str:
    for kind in OUTPUTS:
        lines = "".join(f"      - ${{{kind}.{name}}}\n" for name in REGISTRY)
        text = re.sub(LINES.format(kind=kind), lines, text, flags=re.MULTILINE)
    return text


def models_table() -> str:
    """The registry for a README: what each model is, what its images must be, and whose weights it starts from."""
    lines = [
        "| `model=` | network | smallest image | native | ImageNet weights (licence; hash) |",
        "| --- | --- | --: | --: | --- |",
    ]
    for name, row in REGISTRY.items():
        first = BACKBONES[row.backbones[0]] if row.backbones else None
        step = f", a multiple of {row.multiple_of}" if row.multiple_of > 1 else ""
        native = f"{max(BACKBONES[b].native_px for b in row.backbones)} px" if first else ""
        weights = (
            _weights(first) if first and len(row.backbones) == 1 else ("as its parts" if first else "from scratch")
        )
        lines.append(f"| `{name}` | {row.title} | {row.smallest_px} px{step} | {native} | {weights} |")
    return "\n".join(lines)


def _weights(row: Backbone) -> str:
    if row.published is None:
        return "none are published: random, or a file of your own"
    if row.published.hash is None:
        return f"{row.published.licence}; none published, pinned on the first download"
    return f"{row.published.licence}; published {HASH_KINDS[len(row.published.hash)].upper()}"
