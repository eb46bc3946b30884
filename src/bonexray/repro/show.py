"""The progress of a run: one bar on a terminal, a line for each stage elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text

from bonexray.repro.durations import Durations, words
from bonexray.repro.lines import State
from bonexray.repro.plan import Plan


class Shown:
    """The stages of a plan that are done, the one that is under way, and the time that is left.

    Args:
        plan: of the run.
        durations: expected of its stages.
        progress: the bar; None prints lines.
    """

    def __init__(self, plan: Plan, durations: Durations, progress: Progress | None) -> None:
        self.durations, self.progress, self.total = durations, progress, len(plan.stages)
        self.waiting, self.stage, self.began = dict.fromkeys(plan.to_run), "", time.monotonic()
        self.number = 0
        self.task = progress.add_task("starting", total=self.total, shown=self) if progress else None

    def begin(self, stage: str, state: State, number: int) -> None:
        """Show that a stage begins, the `number`-th from 0."""
        self.waiting.pop(stage, None)
        self.stage, self.began, self.number = stage if state == "ran" else "", time.monotonic(), number
        if self.progress:
            self.progress.update(self.task, description=stage, completed=number)
        elif state != "same":
            how = "" if state == "ran" else f": from the {'cache' if state == 'cached' else 'remote'}"
            print(
                f"{number + 1}/{self.total} {stage}{how}{f' ({self.left()})' if self.left() else ''}", file=sys.stderr
            )

    def end(self) -> None:
        """Show that all stages are done."""
        if self.progress:
            self.progress.update(self.task, description="done", completed=self.total)

    def left(self) -> str:
        """Return the time left in words; empty if there is nothing to estimate it from."""
        stages = [*self.waiting, *filter(None, [self.stage])]
        seconds = self.durations.total(stages)
        if not stages or seconds is None:
            return ""
        own = self.durations.of(self.stage) or 0 if self.stage else 0
        return f"about {words(max(seconds - min(time.monotonic() - self.began, own), 1))} left"


class _Left(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(task.fields["shown"].left())


@contextmanager
def show(plan: Plan, durations: Durations) -> Iterator[Shown]:
    """Yield what shows the progress of a plan on standard error."""
    if not sys.stderr.isatty():
        yield Shown(plan, durations, None)
        return
    columns = (TextColumn("{task.description:>28}"), BarColumn(), MofNCompleteColumn(), _Left())
    with Progress(*columns, console=Console(file=sys.stderr), transient=True) as progress:
        yield Shown(plan, durations, progress)
