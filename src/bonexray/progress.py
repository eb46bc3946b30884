"""A progress bar for long work."""

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Item = TypeVar("Item")


def progress(items: Iterable[Item], label: str, total: int, *, passing: bool = False) -> Iterator[Item]:
    """Yield the items while a bar on standard error says how far the work is; one plain line without a terminal.

    A passing bar is gone when its work is done, and without a terminal it is not there at all.
    """
    if passing and not sys.stderr.isatty():
        yield from items
        return
    columns = (TextColumn("{task.description:>20}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(file=sys.stderr), transient=passing) as bar:
        yield from bar.track(items, total=total, description=label)
