"""The lines by which DVC says what it does with each stage."""

import re
from typing import Literal

State = Literal["same", "cached", "pulled", "ran"]
LINES: dict[State, re.Pattern[str]] = {
    "same": re.compile(r"(?:Stage )?'(?P<stage>.+)' didn't change, skipping$"),
    "cached": re.compile(r"Stage '(?P<stage>.+)' is cached - skipping run, checking out outputs$"),
    "pulled": re.compile(r"Pulling data for stage: '(?P<stage>.+)'$"),
    "ran": re.compile(r"(?:Running stage|Verifying data sources in stage:) '(?P<stage>.+)':?$"),
}
FAILURE = re.compile(r"ERROR: (?P<reason>.+)")
NOISE = re.compile(r"\s*$|ERROR: failed to reproduce |Updating lock file |Use `dvc |To track the changes ")


def stage_and_state(line: str) -> tuple[str, State] | None:
    """Return the stage that a line of `dvc repro` begins with and what happens to it; None for any other line.

    The last line about a stage counts: a stage whose data could not be pulled is run.
    """
    for state, pattern in LINES.items():
        if match := pattern.match(line):
            return match["stage"], state
    return None


def reason(lines: list[str]) -> str:
    """Return the line that says best why a command failed.

    Args:
        lines: the last lines of its output.
    """
    own = [line.strip() for line in lines if not NOISE.match(line)]
    if own and not stage_and_state(own[-1]) and not own[-1].startswith("> "):
        return own[-1]
    failures = [match["reason"] for line in lines if (match := FAILURE.match(line))]
    return failures[-1] if failures else "no message"
