"""Generated sections of Markdown files."""


def with_section(text: str, begin: str, end: str, content: str) -> str:
    """Return a document with the lines between two markers replaced.

    Args:
        text: the document.
        begin: the marker before the section.
        end: the marker behind it.
        content: of the section.
    """
    before, rest = text.split(begin, 1)
    _, after = rest.split(end, 1)
    return f"{before}{begin}\n{content}\n{end}{after}"
