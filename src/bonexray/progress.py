"""A progress bar."""

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Item = TypeVar("Item")


def progress(items: Iterable[Item], label: str, total: int, *, passing: bool = False) -> Iterator[Item]:
    """Yield the items and show their progress on standard error; without a terminal, print one line at the end.

    Args:
        items: to iterate over.
        label: of the bar.
        total: number of items.
        passing: remove the bar at the end, and show nothing without a terminal.
    """
    if passing and not sys.stderr.isatty():
        yield from items
        return
    columns = (TextColumn("{task.description:>20}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(file=sys.stderr), transient=passing) as bar:
        yield from bar.track(items, total=total, description=label)
