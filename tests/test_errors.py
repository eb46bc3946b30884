"""The error that is shown to users."""

import pickle

from bonexray.base.errors import BonexrayError
from bonexray.train.fit import Diverged


def test_an_error_is_the_same_after_the_way_back_from_a_worker() -> None:
    for kind in (BonexrayError, Diverged):
        error = kind("a.png", expected="an image", received=None, do="remove it")
        error.add_note("a note")
        copy = pickle.loads(pickle.dumps(error))
        assert type(copy) is kind
        assert str(copy) == str(error) == "a.png: expected an image, received None; remove it"
        assert copy.__notes__ == ["a note"]
