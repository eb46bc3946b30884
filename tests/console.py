"""Errors of the library among the lines on standard error."""


def findings(stderr: str) -> list[str]:
    """Return the lines that report an error."""
    return [line for line in stderr.splitlines() if ": expected " in line and ", received " in line and "; " in line]
