"""Parallel work that runs ahead of its reader, in order and with bounded memory."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import TypeVar

from joblib import cpu_count
from joblib.externals.loky import ProcessPoolExecutor

Item = TypeVar("Item")
Result = TypeVar("Result")


def workers(*, processes: bool) -> Executor:
    """Return an executor with one worker per core, to be closed after use.

    Args:
        processes: True uses processes, for work that holds the GIL; they take a second to start. False uses threads.
    """
    return (ProcessPoolExecutor if processes else ThreadPoolExecutor)(cpu_count())


def ahead(function: Callable[[Item], Result], items: Iterable[Item], pool: Executor, most: int) -> Iterator[Result]:
    """Yield `function(item)` for every item, in order.

    Args:
        function: must be importable by name if the workers are processes.
        items: consumed lazily, at most `most` ahead of the reader.
        pool: the workers.
        most: largest number of items in progress or waiting for the reader.
    """
    pending: deque = deque()
    try:
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) >= most:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        for work in pending:  # the reader stopped early
            work.cancel()


def in_batches(items: Iterable[Item], most: int) -> Iterator[Sequence[Item]]:
    """Yield the items in lists of `most`; the last list may be shorter."""
    batch: list[Item] = []
    for item in items:
        batch.append(item)
        if len(batch) == most:
            yield batch
            batch = []
    if batch:
        yield batch
