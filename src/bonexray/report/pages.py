"""Rendering of templates. Names of files and classes are escaped, in HTML and in Markdown."""

from functools import lru_cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from bonexray.data.scores import collapse_of
from bonexray.results.markdown import markdown_text
from bonexray.results.wording import count, large, listed, number, p_value, span, with_interval


def page(template: str, **facts: object) -> str:
    """Return a template of `bonexray/report/templates` filled in; a variable without a value is an error."""
    return _environment(markdown=template.endswith(".md")).get_template(template).render(**facts)


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
        function.__name__: function
        for function in (number, span, with_interval, large, listed, count, p_value, collapse_of)
    }
    return environment
