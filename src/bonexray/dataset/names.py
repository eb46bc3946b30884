"""Names of classes, files and columns as text: one form for each, and whether they can be printed."""

import re
import unicodedata

_INVISIBLE = "\ufeff\u200b\u2060"  # byte-order mark, zero-width space, word joiner
_WHOLE = re.compile(r"([+-]?\d+)[.,]0+")
_DECIMAL_COMMA = re.compile(r"([+-]?\d+),(\d+)")


def tidied(text: str) -> str:
    """Return text in Unicode's composed form (NFC), without spaces and invisible characters at its ends."""
    return unicodedata.normalize("NFC", text).strip(_INVISIBLE).strip().strip(_INVISIBLE)


def tidied_number(text: str) -> str:
    """Return tidied text; a whole number has no decimals (`0.0` is `0`), and a decimal comma becomes a point."""
    text = tidied(text)
    if whole := _WHOLE.fullmatch(text):
        return whole[1]
    return _DECIMAL_COMMA.sub(r"\1.\2", text) if _DECIMAL_COMMA.fullmatch(text) else text


def spelling_key(name: str) -> str:
    """Return what names have in common that differ in case, spaces or Unicode form only."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def natural_key(name: str) -> tuple:
    """Return a sort key that puts 2 before 10."""
    parts = re.split(r"([0-9]+)", name)
    return tuple((int(part), "") if number % 2 else (-1, part) for number, part in enumerate(parts)), name


def name_problem(name: str) -> str | None:
    """Return why the name of a file or class cannot be written into a table; None if it can."""
    categories = {unicodedata.category(letter) for letter in name}
    if "Cs" in categories:  # surrogates, which Python uses for bytes that it cannot decode
        return "a name that is not UTF-8 text"
    return "a line break or another control character in its name" if "Cc" in categories else None


def escaped(name: str) -> str:
    r"""Return a printable name: undecodable bytes and control characters become escapes such as \xe9 and \n."""
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(repr(letter)[1:-1] if unicodedata.category(letter) == "Cc" else letter for letter in text)


def listed(names: list[str], most: int = 5) -> str:
    """Return names in one line: at most `most`, and how many more there are."""
    shown = ", ".join(escaped(name) for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
