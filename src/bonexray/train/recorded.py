"""Types for recording a training while it runs; the stage passes the recorder, so training depends on no store."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Protocol

from bonexray.data.folds import Run


class Record(Protocol):
    """The record of one training."""

    def epoch(self, number: int, metrics: Mapping[str, float]) -> None:
        """Add the metrics of an epoch, or of a candidate penalty."""


EpochListener = Callable[[int, dict[str, float]], None]  # gets the number of an epoch, from 1, and its metrics
Recorded = Callable[[Mapping[str, object], Run], AbstractContextManager[Record]]  # from the card and the run
