"""The part of the report on ordinal outputs: each model beside the same network with an output for ordered classes."""

from collections.abc import Mapping

from bonexray.registry import variant_of
from bonexray.report.data import Study
from bonexray.report.tables import ORDERED, Cell, Table
from bonexray.results.wording import p_value, signed


def grade_pairs_table(study: Study) -> Table | None:
    """Return the differences in the grade scores of the planned pair, and of the outputs of one network.

    None if the classes have no order, or if there is no such pair.
    """
    tested = study.pairs.to_dict("records") if "quadratic_weighted_kappa_difference" in study.pairs else []
    kept = [pair for pair in tested if pair.get("primary") or _one_network(pair)]
    if not kept:
        return None
    rows = [
        [
            Cell(study.titles[pair["one"]], order=study.titles[pair["one"]]),
            Cell(study.titles[pair["other"]], order=study.titles[pair["other"]]),
            *(cell for score in ORDERED for cell in _cells(pair, score)),
        ]
        for pair in kept
    ]
    named = [column for label in ORDERED.values() for column in (label, "p")]
    caption = (
        f"Differences between outputs of one network{' and of the planned pair' if any(pair.get('primary') for pair in kept) else ''}, "
        f"one minus other, with {study.confidence} intervals; p by the paired bootstrap, after Holm's correction for all "
        f"{len(study.pairs)} pairs unless planned. A negative difference in kappa, or a positive one in the error, speaks "
        "for the other"
    )
    return Table("grade-pairs", caption, ("One", "Other", *named), rows, text_columns=(0, 1), sortable=len(rows) > 1)


def _one_network(pair: Mapping[str, object]) -> bool:
    one, other = str(pair["one"]), str(pair["other"])
    return variant_of(one)[0] == variant_of(other)[0]


def _cells(pair: Mapping[str, float], score: str) -> tuple[Cell, Cell]:
    difference, p = pair[f"{score}_difference"], pair[f"{score}_p_bootstrap_holm"]
    interval = f"{signed(pair[f'{score}_difference_low'])} to {signed(pair[f'{score}_difference_high'])}"
    return Cell(signed(difference), interval, difference), Cell(p_value(p), order=None if p != p else p)
