"""The error that is shown to users."""

import pickle

import pytest

from bonexray.base.errors import BonexrayError
from bonexray.train.fit import Diverged


@pytest.mark.parametrize("letter", ["\n", "\r", "\x1b", "\x00", "\u2028"])
def test_an_error_is_one_line_whatever_a_file_or_key_is_called(letter: str) -> None:
    shown = str(BonexrayError(f"a{letter}b", expected="é\u202f", received=f"{letter}", do=f"rename it{letter}"))
    assert len(shown.splitlines()) == 1 and letter not in shown
    assert "é\u202f" in shown and repr(letter)[1:-1] in shown


def test_an_error_is_the_same_after_the_way_back_from_a_worker() -> None:
    for kind in (BonexrayError, Diverged):
        error = kind("a.png", expected="an image", received=None, do="remove it")
        error.add_note("a note")
        copy = pickle.loads(pickle.dumps(error))
        assert type(copy) is kind
        assert str(copy) == str(error) == "a.png: expected an image, received None; remove it"
        assert copy.__notes__ == ["a note"]
