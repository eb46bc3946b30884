"""Parallel work on many images: on the cores of this machine, or on a Dask cluster that sees the same folders."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Literal, TypeVar

import cv2
from joblib import Parallel, delayed, parallel_config
from pydantic import model_validator
from threadpoolctl import threadpool_limits

from bonexray.base.config import Section
from bonexray.base.errors import BonexrayError
from bonexray.progress import progress

Result = TypeVar("Result")
CONNECT_SECONDS = 10


class Compute(Section):
    """The section `compute` of the settings: where work on many images runs."""

    backend: Literal["local", "dask"] = "local"
    scheduler: str | None = None

    @model_validator(mode="after")
    def _scheduler_is_named(self) -> "Compute":
        if self.backend == "dask" and not self.scheduler:
            raise ValueError("compute.scheduler to be an address, such as tcp://10.0.0.5:8786, if the backend is dask")
        return self


def parallel_map(
    function: Callable[..., Result], items: Sequence[tuple], label: str, settings: Compute, *, threads: bool = False
) -> Iterator[Result]:
    """Yield `function(*item)` for every item, in order, with a progress bar.

    Only a few items are processed at a time, so memory depends on the number of cores and not of items.

    Args:
        function: importable by name, without side effects other than files.
        items: arguments of each call; their paths are absolute, because workers may run in another folder.
        label: of the bar.
        settings: local or Dask.
        threads: use threads instead of processes on this machine, for work that is short or mostly waits.

    Raises:
        BonexrayError: the scheduler does not respond, or Dask is not installed.
    """
    with _backend(settings):
        workers = Parallel(n_jobs=-1, prefer="threads" if threads else None, return_as="generator")
        yield from progress(workers(delayed(function)(*item) for item in items), label, len(items))


@contextmanager
def one_thread_per_caller() -> Iterator[None]:
    """Limit libraries to one thread for each caller.

    Their threads and ours would exceed the number of cores, and on small images they mostly wait for each other.
    """
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        cv2.setNumThreads(threads)


@contextmanager
def _backend(settings: Compute) -> Iterator[None]:
    with ExitStack() as stack:
        if settings.backend == "dask":
            stack.enter_context(_client(str(settings.scheduler)))
            stack.enter_context(parallel_config(backend="dask"))
        yield


def _client(scheduler: str) -> AbstractContextManager:
    what, do = "compute.scheduler", "start `dask scheduler` and `dask worker`, or set compute.backend=local"
    try:
        from distributed import Client
    except ImportError:
        raise BonexrayError(
            "compute.backend", expected="Dask", received="not installed", do="pip install 'bonexray[dask]'"
        ) from None
    try:
        return Client(scheduler, timeout=CONNECT_SECONDS, set_as_default=True)
    except (OSError, ValueError) as error:
        received = f"no response from {scheduler}: {' '.join(str(error).split())[:80]}"
        raise BonexrayError(what, expected="the address of a Dask scheduler", received=received, do=do) from None
