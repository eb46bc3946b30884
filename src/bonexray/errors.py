"""The one kind of error a user is meant to read."""


class BonexrayError(Exception):
    """Something the user can put right; shown as one line, without a stack trace.

    Args:
        what: the thing at fault, as the user knows it (`split.ratios`, `data/raw/a.png`).
        expected: what would have been right.
        received: what was found instead.
        do: what to do about it.
    """

    def __init__(self, what: str, *, expected: str, received: object, do: str) -> None:
        self.what, self.expected, self.received, self.do = what, expected, received, do
        super().__init__(f"{what}: expected {expected}, received {received}; {do}")
