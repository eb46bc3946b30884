"""Escaped text and generated sections in Markdown."""

import re

from markupsafe import Markup

from bonexray.base.errors import BonexrayError

SPECIAL = re.compile(r"([\\`*_\[\]<>|#])")


def markdown_text(value: object) -> object:
    """Return a value escaped for Markdown, on one line, also for tables; `Markup` and numbers are left as they are."""
    return value if isinstance(value, Markup | int) else SPECIAL.sub(r"\\\1", " ".join(str(value).split()))


def with_section(text: str, name: str, content: str) -> str:
    """Return a Markdown document with the lines between `<!-- name: ... -->` and `<!-- end of name -->` replaced.

    Args:
        text: the document; its first marker may name the command that writes the section after the colon.
        name: name of the section.
        content: the new lines, without the markers.

    Raises:
        BonexrayError: the document does not have these markers exactly once.
    """
    pattern = rf"^(<!-- {name}: [^\n]*-->\n).*?^(<!-- end of {name} -->)$"
    text, count = re.subn(pattern, lambda m: f"{m[1]}{content}\n{m[2]}", text, flags=re.DOTALL | re.MULTILINE)
    if count != 1:
        raise BonexrayError(
            "the Markdown file",
            expected=f"`<!-- {name}: ... -->` and `<!-- end of {name} -->` once",
            received=f"{count} times",
            do="put these two lines where the text belongs",
        )
    return text
