"""The parts of files that `bonexray registry` writes from the registry: dependencies in dvc.yaml, a table in the docs."""

import re
from pathlib import Path
from textwrap import wrap

from bonexray.licences import WEIGHTS
from bonexray.registry import BACKBONES, HASH_KINDS, REGISTRY, SLOTS
from bonexray.results.markdown import with_section

DOCS_PAGE = Path("docs/models.md")
DVC = Path("dvc.yaml")


def registry_files(root: Path) -> dict[Path, str]:
    """Return the files that depend on the registry, with the text that they should have.

    Args:
        root: the folder of the repository; text that does not depend on the registry is kept from its files.
    """
    dvc, page = root / DVC, root / DOCS_PAGE
    return {
        dvc: _with_dependencies(dvc.read_text(encoding="utf-8")),
        page: with_section(page.read_text(encoding="utf-8"), "models", models_table()),
    }


def _with_dependencies(text: str) -> str:
    """Write the models' folders to the stages that read all of them; see `panel` in `derived_params`."""
    return re.sub(r"(?:^ *'models/\$\{panel[^\n]*\n)+", _lines, text, flags=re.MULTILINE)


def _lines(found: re.Match) -> str:
    items = " ".join(f"'models/${{panel[{slot}]}}'," for slot in range(SLOTS))
    indent = re.match(" *", found[0])[0]
    return "\n".join(wrap(items, 120, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)) + "\n"


def models_table() -> str:
    """Return the Markdown table of models: their networks, image sizes and starting weights."""
    lines = [
        "| `model=` | network | smallest image | native | published weights (licence; training; hash) |",
        "| --- | --- | --: | --: | --- |",
    ]
    for name, row in REGISTRY.items():
        backbones = [BACKBONES[backbone] for backbone in row.backbones]
        step = f", a multiple of {row.multiple_of}" if row.multiple_of > 1 else ""
        native = f"{max(backbone.native_px for backbone in backbones)} px" if backbones else ""
        scratch = "from scratch; needs [boxes or masks](localisation.md)" if row.locator else "from scratch"
        weights = {0: scratch, 1: row.backbones and _weights(row.backbones[0])}.get(len(backbones), "as its parts")
        lines.append(f"| `{name}` | {row.title} | {row.smallest_px} px{step} | {native} | {weights} |")
    return "\n".join(lines)


def _weights(name: str) -> str:
    row = BACKBONES[name]
    if row.control_of:
        return "none: random, as a control"
    if row.published is None:
        return "none are published: random, or a file of your own"
    facts = f"[{WEIGHTS[name].name}]({WEIGHTS[name].source}); {row.published.trained_on}"
    if row.published.package:
        return f"{facts}; installed with bonexray, pinned {HASH_KINDS[len(row.published.hash)].upper()}"
    if row.published.hash is None:
        return f"{facts}; none published, pinned on the first download"
    return f"{facts}; published {HASH_KINDS[len(row.published.hash)].upper()}"
