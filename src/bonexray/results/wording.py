"""How numbers, counts and lists are written, in tables, in the report and by the gate."""

import math
from collections.abc import Mapping

NONE = "–"  # what a study does not define


def number(value: object, digits: int = 3) -> str:
    """A number with so many decimals, a dash for what is not defined."""
    return NONE if missing(value) else f"{value:.{digits}f}"


def missing(value: object) -> bool:
    """Whether a score is not defined: NaN, which is null in JSON."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def span(row: Mapping[str, object], score: str) -> str:
    """The interval of a score, `0.253 to 0.613`, or nothing where it has none."""
    low, high = row.get(f"{score}_low"), row.get(f"{score}_high")
    return "" if missing(low) or missing(high) else f"{low:.3f} to {high:.3f}"


def with_interval(row: Mapping[str, object], score: str) -> str:
    """A score and its interval, `0.422 (0.253 to 0.613)`, or the score alone where it has none."""
    interval = span(row, score)
    return number(row.get(score)) + (f" ({interval})" if interval else "")


def percent(share: float) -> str:
    """A share of 1, as `95 %`."""
    return f"{100 * share:g} %"


def p_value(value: object) -> str:
    """A p value, never a bare 0."""
    return NONE if missing(value) else ("< 0.001" if value < 0.001 else f"{value:.3f}")


def signed(value: float) -> str:
    """A difference with its sign."""
    return f"{value:+.3f}".replace("-", "−")


def large(value: object) -> str:
    """A count with a unit prefix, three digits: `15.3 G`."""
    if missing(value):
        return NONE
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= 0.9995 * size:  # what three digits round up to the next unit
            return f"{value / size:.3g} {unit}"
    return f"{value:.3g}"


def count(number: int, one: str, many: str = "") -> str:
    """`1 image`, `2 images`."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def listed(names: list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
