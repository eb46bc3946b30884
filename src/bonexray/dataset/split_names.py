"""Recognise the names that people give to training, validation and test."""

import re

from bonexray.dataset.names import tidied

_WORDS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validate": "val",
    "validation": "val",
    "dev": "val",
    "development": "val",
    "test": "test",
    "tests": "test",
    "testing": "test",
    "holdout": "test",
    "hold_out": "test",
    "heldout": "test",
    "held_out": "test",
}
_THINGS = "set|data|dataset|images?|imgs?|img|pics?|pictures?|split|samples?|folder|files?|subset|partition|cases?"
_NAME = re.compile(
    rf"(?:\d{{1,2}}_)?(?:(?:{_THINGS})_)?(?P<word>{'|'.join(sorted(_WORDS, key=len, reverse=True))})"
    rf"(?:_?(?:{_THINGS}))*(?:_?(?:19|20)\d\d)?"
)


def split_named(name: str) -> str | None:
    """Return train, val or test for names such as `Training`, `train_set`, `valid`, `dev` and `hold-out`; None for others.

    >>> split_named("Hold-out set")
    'test'
    """
    match = _NAME.fullmatch(re.sub(r"[\W_]+", "_", tidied(name).casefold()).strip("_"))
    return _WORDS[match["word"]] if match else None
