"""Work done ahead of where its results are read, in order, and only so far ahead that memory stays flat."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import TypeVar

from joblib import cpu_count
from joblib.externals.loky import ProcessPoolExecutor

Item = TypeVar("Item")
Result = TypeVar("Result")


def workers(*, processes: bool) -> Executor:
    """As many workers as the machine has cores, to be closed after use.

    Args:
        processes: for work that keeps Python's lock; they take a second to start. Otherwise threads.
    """
    return (ProcessPoolExecutor if processes else ThreadPoolExecutor)(cpu_count())


def ahead(function: Callable[[Item], Result], items: Iterable[Item], pool: Executor, most: int) -> Iterator[Result]:
    """Yield `function(item)` for every item, in their order.

    Args:
        function: importable by name where the workers are processes.
        items: read only as far as work has begun.
        pool: what does the work.
        most: results and items in work at a time.
    """
    begun: deque = deque()
    try:
        for item in items:
            begun.append(pool.submit(function, item))
            if len(begun) >= most:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()
    finally:
        for work in begun:  # the reader has stopped: what has not begun never will
            work.cancel()


def in_batches(items: Iterable[Item], most: int) -> Iterator[Sequence[Item]]:
    """Yield the items in lists of so many, the last of what is left."""
    batch: list[Item] = []
    for item in items:
        batch.append(item)
        if len(batch) == most:
            yield batch
            batch = []
    if batch:
        yield batch
