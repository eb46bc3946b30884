"""The error that is shown to users."""

from functools import partial
from unicodedata import category


class BonexrayError(Exception):
    """An error that the user can fix; shown as one line, without a traceback.

    Args:
        what: the setting or file at fault, such as `split.ratios` or `data/raw/a.png`.
        expected: a description of a valid value.
        received: the actual value.
        do: how to fix it.
    """

    def __init__(self, what: str, *, expected: str, received: object, do: str) -> None:
        self.what, self.expected, self.received, self.do = what, expected, received, do
        super().__init__(_one_line(f"{what}: expected {expected}, received {received}; {do}"))

    def __reduce__(self) -> tuple:
        """Return what a worker process sends back; exceptions with keyword arguments need it."""
        build = partial(type(self), expected=self.expected, received=self.received, do=self.do)
        return build, (self.what,), self.__dict__


def _one_line(text: str) -> str:
    """Return a text with line breaks and other control characters, which names of files and keys may have, escaped."""
    return "".join(repr(letter)[1:-1] if category(letter) in ("Cc", "Cs", "Zl", "Zp") else letter for letter in text)
