"""Templates into pages. What stands in a file's name or a class's is text, never markup, in HTML and in Markdown."""

import re
from functools import lru_cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from bonexray.results.wording import count, large, listed, number, p_value, span, with_interval

MARKED = re.compile(r"([\\`*_\[\]<>|#])")


def page(template: str, **facts: object) -> str:
    """A template of `bonexray/reporting/report/templates` filled in; a fact that it names and does not get is an error."""
    return _environment(markdown=template.endswith(".md")).get_template(template).render(**facts)


def markdown_text(value: object) -> object:
    """A value as Markdown shows it literally, in one line, also within a table; `Markup` is Markdown already."""
    return value if isinstance(value, Markup | int) else MARKED.sub(r"\\\1", " ".join(str(value).split()))


@lru_cache
def _environment(markdown: bool) -> Environment:
    environment = Environment(
        loader=PackageLoader("bonexray.report"),
        autoescape=not markdown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=markdown_text if markdown else None,
    )
    environment.filters |= {
        function.__name__: function for function in (number, span, with_interval, large, listed, count, p_value)
    }
    return environment
