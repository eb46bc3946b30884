"""Text that fits: measured in inches before it is drawn, wrapped, and shortened in the middle."""

from collections.abc import Iterable
from functools import lru_cache

from matplotlib import font_manager
from matplotlib.ft2font import LoadFlags

FONT = "DejaVu Sans"  # comes with matplotlib: the same widths, and the same bytes, on every machine
LINE = 1.2  # height of a line in font sizes
JOINTS = "_-/.+"  # characters that join words
SLACK = 1.06  # hinting makes drawn letters a little wider than their design


def width_of(text: str, size: float) -> float:
    """Return the width of a text's widest line in inches, for a font size in points."""
    return max(sum(map(_advance, line)) for line in text.split("\n")) * size / 72 * SLACK


def height_of(text: str, size: float) -> float:
    """Return the height of a text of one or more lines in inches, for a font size in points."""
    return (text.count("\n") + 1) * LINE * size / 72


@lru_cache(maxsize=4096)
def fit_text(text: str, inches: float, size: float = 10, lines: int = 1) -> str:
    """Wrap a text to a width, and shorten it in the middle if it needs more lines than allowed.

    The middle is left out because names of classes and models tend to differ at their ends. A character that the font
    lacks is written as its code point: as empty boxes, two names could look the same.

    Args:
        text: any text; its line breaks are kept while there is room.
        inches: largest width of a line.
        size: of the font, in points.
        lines: largest number of lines, at least 1.

    Returns:
        The text with line breaks, dollar signs escaped for matplotlib.
    """
    text = "\n".join(" ".join(map(_legible, line.split())) for line in text.split("\n"))
    wrapped, line = _wrap(text, inches, size), text.replace("\n", " ")
    length = len(line)
    while len(wrapped) > lines and length > 1:
        length -= 1
        wrapped = _wrap(f"{line[: (length + 1) // 2]}…{line[len(line) - length // 2 :]}", inches, size)
    return "\n".join(wrapped).replace("$", r"\$")


def fit_distinct(texts: Iterable[str], inches: float, size: float = 10, lines: int = 1) -> list[str]:
    """Fit texts as `fit_text` does, and number them from 1 if different texts would look the same."""
    texts = list(texts)
    labels = [fit_text(text, inches, size, lines) for text in texts]
    if len(set(labels)) == len(set(texts)):
        return labels
    return [fit_text(f"{number}: {text}", inches, size, lines) for number, text in enumerate(texts, 1)]


def _wrap(text: str, inches: float, size: float) -> list[str]:
    """Break a text between words, and within words that are too wide, into lines of at most that width."""
    wrapped = []
    for paragraph in text.split("\n"):
        line = ""
        for word in paragraph.split(" "):
            longer = f"{line} {word}" if line else word
            if width_of(longer, size) <= inches:
                line = longer
                continue
            wrapped += [line] if line else []
            *full, line = _pieces(word, inches, size)
            wrapped += full
        wrapped.append(line)
    return wrapped


def _pieces(word: str, inches: float, size: float) -> list[str]:
    """Break a word into pieces of at most that width, after a joint if there is one in the second half."""
    pieces = [""]
    for letter in word:
        if pieces[-1] and width_of(pieces[-1] + letter, size) > inches:
            full = pieces.pop()
            cut = max(full.rfind(sign) for sign in JOINTS) + 1
            cut = cut if cut > len(full) / 2 else len(full)
            pieces += [full[:cut], full[cut:]]
        pieces[-1] += letter
    return pieces


def _legible(text: str) -> str:
    """Replace characters that the font lacks by their code points."""
    font = _font()
    return "".join(letter if font.get_char_index(ord(letter)) else f"U+{ord(letter):04X}" for letter in text)


@lru_cache(maxsize=4096)
def _advance(letter: str) -> float:
    """Return the width of a letter in font sizes."""
    return _font().load_char(ord(letter), flags=LoadFlags.NO_SCALE).horiAdvance / _font().units_per_EM


@lru_cache(maxsize=1)
def _font():
    return font_manager.get_font(font_manager.findfont(FONT))
