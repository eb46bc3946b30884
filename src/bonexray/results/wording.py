"""Formatting of numbers, counts and lists for tables, the report and the gate."""

import math
from collections.abc import Mapping

NONE = "–"  # stands for an undefined value


def number(value: object, digits: int = 3) -> str:
    """Return a number with a fixed number of decimals; a dash if it is undefined."""
    return NONE if missing(value) else f"{value:.{digits}f}"


def missing(value: object) -> bool:
    """Return whether a score is undefined: NaN, or null in JSON."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def span(row: Mapping[str, object], score: str) -> str:
    """Return the interval of a score, `0.253 to 0.613`; empty if it has none."""
    low, high = row.get(f"{score}_low"), row.get(f"{score}_high")
    return "" if missing(low) or missing(high) else f"{low:.3f} to {high:.3f}"


def with_interval(row: Mapping[str, object], score: str) -> str:
    """Return a score with its interval, `0.422 (0.253 to 0.613)`, or the score alone if it has none."""
    interval = span(row, score)
    return number(row.get(score)) + (f" ({interval})" if interval else "")


def percent(share: float) -> str:
    """Return a share, from 0 to 1, in per cent: `95 %`."""
    return f"{100 * share:g} %"


def p_value(value: object) -> str:
    """Return a p value, never as 0."""
    return NONE if missing(value) else ("< 0.001" if value < 0.001 else f"{value:.3f}")


def signed(value: float) -> str:
    """Return a difference with its sign."""
    return f"{value:+.3f}".replace("-", "−")


def large(value: object) -> str:
    """Return a number with three digits and a unit prefix, `15.3 G`; a dash if it is undefined."""
    if missing(value):
        return NONE
    for unit, size in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= 0.9995 * size:  # three digits round up to the next unit
            return f"{value / size:.3g} {unit}"
    return f"{value:.3g}"


def count(number: int, one: str, many: str = "") -> str:
    """Return `1 image`, `2 images`."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def listed(names: list[str]) -> str:
    """Return `a`, `a and b`, or `a, b and c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
