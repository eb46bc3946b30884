"""Where work on many images is done: on this machine's cores, or on a Dask cluster that sees the same folders."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Literal, TypeVar

import cv2
from joblib import Parallel, delayed, parallel_config
from pydantic import model_validator
from threadpoolctl import threadpool_limits

from bonexray.config import Section
from bonexray.errors import BonexrayError
from bonexray.progress import progress

Result = TypeVar("Result")
CONNECT_SECONDS = 10


class Compute(Section):
    """Where work on many images is done: the section `compute` of the settings."""

    backend: Literal["local", "dask"] = "local"
    scheduler: str | None = None

    @model_validator(mode="after")
    def _scheduler_is_named(self) -> "Compute":
        if self.backend == "dask" and not self.scheduler:
            raise ValueError("compute.scheduler to be an address, as tcp://10.0.0.5:8786, where the backend is dask")
        return self


def spread(
    function: Callable[..., Result], items: Sequence[tuple], label: str, settings: Compute, *, threads: bool = False
) -> Iterator[Result]:
    """Yield `function(*item)` for every item, in their order, with a progress bar.

    Only a few items are in work at a time, so memory follows the cores and not the items.

    Args:
        function: importable by name, without side effects but files.
        items: its arguments; paths in them are absolute, because a worker's folder may be another.
        label: of the bar.
        settings: local or Dask.
        threads: locally, threads in place of processes: for work that starts fast and mostly waits.

    Raises:
        BonexrayError: the scheduler does not answer, or Dask is not installed.
    """
    with _backend(settings):
        workers = Parallel(n_jobs=-1, prefer="threads" if threads else None, return_as="generator")
        yield from progress(workers(delayed(function)(*item) for item in items), label, len(items))


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Let libraries keep to the thread that calls them: theirs and ours together are more than there are cores.

    On small pictures their threads mostly wait for one another, and on a busy machine they do nothing else.
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
            "compute.backend", expected="Dask", received="it is not installed", do="pip install 'bonexray[dask]'"
        ) from None
    try:
        return Client(scheduler, timeout=CONNECT_SECONDS, set_as_default=True)
    except (OSError, ValueError) as error:
        received = f"no answer from {scheduler}: {' '.join(str(error).split())[:80]}"
        raise BonexrayError(what, expected="the address of a Dask scheduler", received=received, do=do) from None
