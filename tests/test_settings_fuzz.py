"""No value of any setting makes a check fail with anything but one line that names the setting."""

import io
import tempfile
from copy import deepcopy
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from bonexray.check import inspect

PARAMS = YAML(typ="safe").load(Path(__file__).parents[1] / "params.yaml")
VALUES = (
    st.none()
    | st.booleans()
    | st.integers(-3, 10**20)
    | st.floats()
    | st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=20)
    | st.sampled_from(["all", "bm3d", "vgg16", "packaged", "/", "..", "~", "(", "[", "${model}", "\u00e9", "e\u0301"])
)
TREES = st.recursive(
    VALUES, lambda part: st.lists(part, max_size=3) | st.dictionaries(st.text(max_size=5), part, max_size=3)
)


def paths(content: object, above: tuple = ()) -> list[tuple]:
    """The path of every section and value."""
    if not isinstance(content, dict):
        return [above]
    return [
        *([above] if above else []),
        *(path for key, part in content.items() for path in paths(part, (*above, key))),
    ]


@settings(max_examples=300, deadline=None)
@example([(("phantom",), {"\n": None})])
@given(st.lists(st.tuples(st.sampled_from(paths(PARAMS)), TREES), min_size=1, max_size=3))
def test_any_value_is_taken_or_refused_in_one_line(edits: list[tuple[tuple, object]]) -> None:
    content = deepcopy(PARAMS)
    for path, value in edits:
        section = content
        for key in path[:-1]:
            section = section[key] if isinstance(section, dict) and key in section else {}
        if isinstance(section, dict):
            section[path[-1]] = value
    with tempfile.TemporaryDirectory() as folder:
        params = Path(folder) / "params.yaml"
        text = io.StringIO()
        YAML().dump(content, text)
        params.write_text(text.getvalue(), encoding="utf-8")
        inspection = inspect(params)
    for finding in inspection.findings:
        told = str(finding)
        assert told.count("\n") == 0 and "; " in told and "Error" not in told, told
