"""How long each stage took, for an estimate of the next run."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

from bonexray.base.files import read_json, write_json
from bonexray.base.repository import main_repository

COMMITTED = Path("metrics/durations.json")  # a copy of RECORDED after a whole run, for who has not run anything yet
RECORDED = Path(".bonexray/durations.json")  # of this machine; Git ignores it


@dataclass
class Durations:
    """Seconds of each stage, and the number of cores that they were measured on."""

    seconds: dict[str, float] = field(default_factory=dict)
    cores: int = 0

    def of(self, stage: str) -> float | None:
        """Return the seconds of a stage, or the mean of its kind, such as `train`; None if none has run."""
        if stage in self.seconds:
            return self.seconds[stage]
        kind = stage.split("@")[0]
        alike = [value for name, value in self.seconds.items() if name.split("@")[0] == kind]
        return fmean(alike) if alike else None

    def total(self, stages: Iterable[str]) -> float | None:
        """Return the seconds of several stages; None if that of one is unknown."""
        values = [self.of(stage) for stage in stages]
        return None if None in values else sum(values)

    def record(self, stage: str, seconds: float) -> None:
        """Keep the duration of a stage for later runs in this repository."""
        self.seconds[stage] = round(seconds, 1)
        write_json(main_repository() / RECORDED, {"cores": cores(), "seconds": self.seconds})


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def read_durations(path: Path) -> Durations:
    """Return the durations in a file; none if there is no such file."""
    if not path.is_file():
        return Durations()
    content: Mapping = read_json(path)
    return Durations(dict(content["seconds"]), int(content["cores"]))


def words(seconds: float) -> str:
    """Return a duration in the unit that a person would use: `40 s`, `9 min`, `1 h 20 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
