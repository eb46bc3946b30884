"""Text of figures: width, line breaks, shortening, contrast, captions and alternative texts."""

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bonexray.base.errors import BonexrayError
from bonexray.figures.canvas.canvas import text_colour
from bonexray.figures.canvas.labels import fit_distinct, fit_text, height_of, width_of
from bonexray.figures.captions import CAPTIONS, words_of


@pytest.mark.parametrize("name", ["Blues", "PuOr"])
def test_numbers_have_enough_contrast_on_every_shade(name: str) -> None:
    for shade in np.linspace(0, 1, 64):
        red, green, blue = (
            c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in mpl.colormaps[name](shade)[:3]
        )
        light = 0.2126 * red + 0.7152 * green + 0.0722 * blue
        contrast = (
            (light + 0.05) / 0.05 if text_colour(mpl.colormaps[name](shade)) == "black" else 1.05 / (light + 0.05)
        )
        assert contrast >= 4.5


names = st.text(
    st.characters(codec="utf-8", exclude_categories=("C", "Z"), exclude_characters="$") | st.just(" "), max_size=60
)


@given(names, st.floats(0.5, 4), st.integers(1, 4))
def test_fitted_text_keeps_to_width_and_lines(text: str, inches: float, lines: int) -> None:
    label = fit_text(text, inches, 9, lines)
    assert width_of(label, 9) <= inches
    assert label.count("\n") < lines
    assert height_of(label, 9) <= height_of("\n" * (lines - 1), 9) + 1e-9


def test_long_text_is_shortened_in_the_middle() -> None:
    assert fit_text("normal", 2) == "normal"
    long = [fit_text("a class with a very long name, number " + end, 1.2, 9) for end in ("1", "2")]
    assert long[0] != long[1]
    assert long[0].startswith("a cl")
    assert "…" in long[0]


def test_names_that_would_look_the_same_are_numbered() -> None:
    alike = ["osteoporosis of the left hip", "osteoporosis of the right hip", "normal"]
    assert len(set(fit_distinct(alike, 0.9, 9))) == 3
    assert fit_distinct(alike, 4, 9) == alike


def test_dollar_signs_and_missing_letters_are_replaced() -> None:
    assert fit_text("$a$", 2) == r"\$a\$"
    assert fit_text("骨", 2) == "U+9AA8"
    assert fit_text("骨", 2) != fit_text("质", 2)


def test_every_figure_has_a_caption_and_an_alternative_text() -> None:
    assert len(CAPTIONS) == 26
    for pattern in CAPTIONS:
        words = words_of(pattern, "VGG16")
        assert ("VGG16" in words.caption) == ("VGG16" in words.alt) == pattern.startswith("{m}_")
        assert words.caption.endswith(".")
        assert words.alt.endswith(".")
        assert words.caption != words.alt


def test_an_unknown_figure_is_reported() -> None:
    with pytest.raises(BonexrayError, match=r"models_comparison.png.*received unknown.png"):
        words_of("unknown.png")
