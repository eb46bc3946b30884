"""Facts of patients and scanners from the headers of DICOM files; no identifier, date or free text leaves this module."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pydicom

from bonexray.dataset.facts import HEADERS, in_years
from bonexray.dataset.names import tidied
from bonexray.images.silence import quiet

_SEX = {"M": "M", "F": "F", "O": "O"}


def read_headers(path: Path, names: Sequence[str]) -> dict[str, str]:
    """Return the facts that the header of a DICOM file gives, by their names in `HEADERS`; "" where it gives none.

    The value of `site` is the institution's name, which `numbered` must replace.
    """
    try:
        with quiet():
            header = pydicom.dcmread(
                path, stop_before_pixels=True, specific_tags=[HEADERS[name] for name in names], force=True
            )
            texts = {name: tidied(str(header.get(HEADERS[name]) or "").strip("\0 ")) for name in names}
    except Exception:  # pydicom raises many kinds of errors on invalid bytes; the reader of the pixels reports them
        return dict.fromkeys(names, "")
    return {name: _fact(name, text) for name, text in texts.items()}


def numbered(names: Sequence[str], word: str) -> list[str]:
    """Return names replaced by a word and a number, 1 for the most frequent; "" stays.

    >>> numbered(["Charité", "", "UCH", "UCH"], "site")
    ['site 2', '', 'site 1', 'site 1']
    """
    counts = Counter(name for name in names if name)
    order = sorted(counts, key=lambda name: (-counts[name], name))
    return [f"{word} {order.index(name) + 1}" if name else "" for name in names]


def _fact(name: str, text: str) -> str:
    if text.casefold() == "unknown":
        return ""
    if name == "sex":
        return _SEX.get(text.upper(), "")
    if name == "age":
        return in_years(text)
    if name == "year":
        return text[:4] if re.match(r"(?:19|20)\d\d(?!\d{5})", text) else ""
    return text
