"""Text that fits where it is put: measured in inches before it is drawn, wrapped, and shortened in its middle."""

from collections.abc import Iterable
from functools import lru_cache

from matplotlib import font_manager
from matplotlib.ft2font import LoadFlags

FONT = "DejaVu Sans"  # comes with matplotlib: the same widths, and the same bytes, on every machine
LINE = 1.2  # height of a line in font sizes
JOINTS = "_-/.+"
SLACK = 1.06  # hinting makes drawn letters a little wider than their design


def width_of(text: str, size: float) -> float:
    """Inches from left to right of a text's widest line at a font size in points."""
    return max(sum(map(_advance, line)) for line in text.split("\n")) * size / 72 * SLACK


def height_of(text: str, size: float) -> float:
    """Inches from top to bottom of a text of one or more lines at a font size in points."""
    return (text.count("\n") + 1) * LINE * size / 72


@lru_cache(maxsize=4096)
def fitted(text: str, inches: float, size: float = 10, lines: int = 1) -> str:
    """A text in lines that are at most so wide, the middle left out where it needs more lines than there are.

    The middle goes because names of classes and models tend to differ at their ends. Characters that the font lacks
    are written as their code point, so that two names never become the same row of empty boxes.

    Args:
        text: any text; a line break in it is kept where there is room.
        inches: the widest line.
        size: of the font, in points.
        lines: how many there may be, at least 1.

    Returns:
        The text, ready for matplotlib: a dollar sign in it is a dollar sign.
    """
    text = "\n".join(" ".join(map(_legible, line.split())) for line in text.split("\n"))
    found, whole = _wrapped(text, inches, size), text.replace("\n", " ")
    kept = len(whole)
    while len(found) > lines and kept > 1:
        kept -= 1
        found = _wrapped(f"{whole[: (kept + 1) // 2]}…{whole[len(whole) - kept // 2 :]}", inches, size)
    return "\n".join(found).replace("$", r"\$")


def fitted_apart(texts: Iterable[str], inches: float, size: float = 10, lines: int = 1) -> list[str]:
    """Texts as `fitted` leaves them, numbered from 1 where two of them would read the same."""
    texts = list(texts)
    found = [fitted(text, inches, size, lines) for text in texts]
    if len(set(found)) == len(set(texts)):
        return found
    return [fitted(f"{number}: {text}", inches, size, lines) for number, text in enumerate(texts, 1)]


def _wrapped(text: str, inches: float, size: float) -> list[str]:
    """Lines at most so wide: broken between words, and within a word that is wider alone."""
    found = []
    for paragraph in text.split("\n"):
        line = ""
        for word in paragraph.split(" "):
            longer = f"{line} {word}" if line else word
            if width_of(longer, size) <= inches:
                line = longer
                continue
            found += [line] if line else []
            *full, line = _pieces(word, inches, size)
            found += full
        found.append(line)
    return found


def _pieces(word: str, inches: float, size: float) -> list[str]:
    """A word in pieces at most so wide, broken after a sign that joins words where one is near."""
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
    font = _font()
    return "".join(letter if font.get_char_index(ord(letter)) else f"U+{ord(letter):04X}" for letter in text)


@lru_cache(maxsize=4096)
def _advance(letter: str) -> float:
    """Width of a letter in font sizes."""
    return _font().load_char(ord(letter), flags=LoadFlags.NO_SCALE).horiAdvance / _font().units_per_EM


@lru_cache(maxsize=1)
def _font():
    return font_manager.get_font(font_manager.findfont(FONT))
