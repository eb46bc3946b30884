"""Text in figures: measured, wrapped, shortened and readable on every shade; and captions."""

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bonexray.errors import BonexrayError
from bonexray.figures.canvas.canvas import ink
from bonexray.figures.canvas.labels import fitted, fitted_apart, height_of, width_of
from bonexray.figures.captions import CAPTIONS, words_of


@pytest.mark.parametrize("name", ["Blues", "PuOr"])
def test_a_number_can_be_read_on_every_shade(name: str) -> None:
    for shade in np.linspace(0, 1, 64):
        red, green, blue = (
            c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in mpl.colormaps[name](shade)[:3]
        )
        light = 0.2126 * red + 0.7152 * green + 0.0722 * blue
        contrast = (light + 0.05) / 0.05 if ink(mpl.colormaps[name](shade)) == "black" else 1.05 / (light + 0.05)
        assert contrast >= 4.5


# Text

names = st.text(
    st.characters(codec="utf-8", exclude_categories=("C", "Z"), exclude_characters="$") | st.just(" "), max_size=60
)


@given(names, st.floats(0.5, 4), st.integers(1, 4))
def test_a_text_stays_in_its_width_and_lines(text: str, inches: float, lines: int) -> None:
    shown = fitted(text, inches, 9, lines)
    assert width_of(shown, 9) <= inches
    assert shown.count("\n") < lines
    assert height_of(shown, 9) <= height_of("\n" * (lines - 1), 9) + 1e-9


def test_a_text_that_has_room_is_left_as_it_is_and_a_longer_one_keeps_both_its_ends() -> None:
    assert fitted("normal", 2) == "normal"
    long = [fitted("a class with a very long name, number " + end, 1.2, 9) for end in ("1", "2")]
    assert long[0] != long[1]
    assert long[0].startswith("a cl")
    assert "…" in long[0]


def test_names_that_would_read_the_same_are_numbered() -> None:
    alike = ["osteoporosis of the left hip", "osteoporosis of the right hip", "normal"]
    assert len(set(fitted_apart(alike, 0.9, 9))) == 3
    assert fitted_apart(alike, 4, 9) == alike


def test_a_dollar_is_no_formula_and_a_letter_that_the_font_lacks_is_not_a_box() -> None:
    assert fitted("$a$", 2) == r"\$a\$"
    assert fitted("骨", 2) == "U+9AA8"
    assert fitted("骨", 2) != fitted("质", 2)


# Words


def test_every_figure_has_words_for_those_who_do_not_see_it() -> None:
    assert len(CAPTIONS) == 18
    for pattern in CAPTIONS:
        words = words_of(pattern, "VGG16")
        assert ("VGG16" in words.caption) == ("VGG16" in words.alt) == pattern.startswith("{m}_")
        assert words.caption.endswith(".")
        assert words.alt.endswith(".")
        assert words.caption != words.alt


def test_a_figure_without_words_is_named() -> None:
    with pytest.raises(BonexrayError, match=r"models_comparison.png.*received unknown.png"):
        words_of("unknown.png")
