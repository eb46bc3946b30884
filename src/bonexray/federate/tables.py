"""The result of a rehearsal as a table for the terminal."""

from collections.abc import Mapping

from rich.table import Table

from bonexray.federate.comparison import ALONE


def rehearsal_table(result: Mapping[str, object]) -> Table:
    """Return a row for each head: balanced accuracy on test, and what the first head gains over it.

    Args:
        result: see `compare`.
    """
    first = result["plan"]["strategy"]
    table = Table(title=f"{result['model']} on the same test images")
    for name in ("trained on", "training patients", "balanced accuracy", f"{first} minus it", "p", "p (Holm)"):
        table.add_column(name, justify="left" if name == "trained on" else "right")
    patients = {ALONE.format(site=name): site["patients"]["train"] for name, site in result["sites"].items()}
    differences = {pair["other"]: pair for pair in result["differences"]}
    for name, scores in result["scores"].items():
        pair = differences.get(name)
        gain = (
            [_with_interval(pair, "difference"), f"{pair['p_bootstrap']:.3f}", f"{pair['p_holm']:.3f}"] if pair else []
        )
        size = patients.get(name, sum(patients.values()))
        table.add_row(name, str(size), _with_interval(scores, "balanced_accuracy"), *gain)
    return table


def _with_interval(values: Mapping[str, float], name: str) -> str:
    value, low, high = (values[f"{name}{end}"] for end in ("", "_low", "_high"))
    return f"{value:.3f} ({low:.3f} to {high:.3f})"
