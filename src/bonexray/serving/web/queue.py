"""A bounded queue in front of the models: one prediction at a time, and a refusal when too many wait."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TypeVar

from bonexray.serving.web.refusals import Refused

Result = TypeVar("Result")


class Queue:
    """A bounded number of places and one worker.

    Args:
        places: largest number of requests that hold a place at once.
    """

    def __init__(self, places: int) -> None:
        self.places, self.taken = places, 0
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="predict")
        self._seconds = 1.0  # that the last work took

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Hold a place.

        Raises:
            Refused: all places are taken.
        """
        if self.taken >= self.places:
            wait = str(max(1, math.ceil(self.taken * self._seconds)))
            reason = f"{self.taken} X-rays are waiting already; try again in {wait} s"
            raise Refused(503, reason, {"Retry-After": wait})
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1

    async def work(self, function: Callable[[], Result]) -> Result:
        """Return `function()`, called in the worker when all earlier work is done."""
        return await asyncio.get_running_loop().run_in_executor(self._worker, self._timed, function)

    def close(self) -> None:
        """Stop after the work in progress."""
        self._worker.shutdown(wait=True, cancel_futures=True)

    def _timed(self, function: Callable[[], Result]) -> Result:
        started = time.perf_counter()
        try:
            return function()
        finally:
            self._seconds = time.perf_counter() - started
