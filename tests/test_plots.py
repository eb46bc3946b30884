"""Templates of `dvc plots`: DVC fills them, and every field they draw is in the tables."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from dvc_render.vega import VegaRenderer
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[1]
TEMPLATES = ROOT / ".dvc/plots"
PLOTS = {
    path: options
    for plot in YAML(typ="safe").load(ROOT / "dvc.yaml")["plots"]
    for path, options in plot.items()
    if path.startswith("reports/plots/")
}
REVISIONS, MODELS = ("workspace", "HEAD~1"), ("vgg16", "compact_cnn")


@pytest.fixture(params=PLOTS)
def spec(request: pytest.FixtureRequest) -> dict:
    """A plot of two models in two revisions, filled by DVC."""
    options = PLOTS[request.param]
    values = ("normal", "osteopenia") if options["template"] == "confusion_by_model" else ("0.25", "0.5")
    rows = [
        {options["x"]: value, options["y"]: value, "model": model, "rev": revision}
        for revision in REVISIONS
        for model in MODELS
        for value in values
    ]
    properties = {**options, "template_dir": str(TEMPLATES), "revs_with_datapoints": list(REVISIONS)}
    return VegaRenderer(rows, request.param, **properties).get_filled_template()


def values_of(content: object, name: str) -> Iterator[str]:
    """Yield the texts under a key anywhere in a specification, the data left out."""
    children = content.values() if isinstance(content, dict) else content if isinstance(content, list) else []
    for child in children:
        yield from values_of(child, name)
    if isinstance(content, dict) and isinstance(content.get(name), str):
        yield content[name]


def test_every_plot_has_a_template() -> None:
    assert PLOTS
    assert {f"{options['template']}.json" for options in PLOTS.values()} == {p.name for p in TEMPLATES.iterdir()}


def test_dvc_fills_every_anchor(spec: dict) -> None:
    assert "DVC_METRIC" not in json.dumps(spec)
    assert len(spec["data"]["values"]) == 8


def test_every_field_is_a_column_or_computed(spec: dict) -> None:
    columns = set(spec["data"]["values"][0])
    drawing = {name: part for name, part in spec.items() if name != "data"}
    computed = set(values_of(drawing, "as"))
    fields = set(values_of(drawing, "field"))
    assert {"model", "rev"} <= fields <= columns | computed
    assert set(re.findall(r"datum\.(\w+)", json.dumps(drawing))) <= columns | computed


def test_models_and_revisions_can_be_told_apart(spec: dict) -> None:
    by_line, by_panel = spec.get("encoding", {}), spec.get("facet", {})
    if by_panel:
        assert (by_panel["row"]["field"], by_panel["column"]["field"]) == ("model", "rev")
        assert "sort" not in {**by_panel["row"], **by_panel["column"]}  # Vega-Lite then swaps the panels' headings
    else:
        assert (by_line["color"]["field"], by_line["strokeDash"]["field"]) == ("model", "rev")
