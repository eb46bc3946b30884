"""Measure the coverage of intervals and the false alarms of tests in simulated studies: `python benchmarks/coverage.py`.

The simulated classifiers are known, so that every score's true value is that of a very large sample. Images of a patient
are correlated and so are models. For each kind of study, the benchmark measures the share of 95 % intervals of every score
that contain the true score, their width, and the share of studies of equally good models in which any two differ
significantly after Holm's correction. Writes metrics/coverage.csv and docs/coverage.md. With `--add`, cells are added to
the table that is there, so that a run can be interrupted or done in parts.
"""

import argparse
from concurrent.futures import ProcessPoolExecutor, as_completed
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats
from simulated.intervals import CONFIDENCE, intervals_of_studies, true_values
from simulated.studies import BALANCES, CLASSES, Cell, draw_panel
from threadpoolctl import threadpool_limits

from bonexray.aggregate.comparison import compare_pairs
from bonexray.base.files import atomic_file
from bonexray.evaluate.bootstrap import draw
from bonexray.progress import progress

ALPHA = 0.05
LEAST = 0.93  # acceptable coverage of 95 % intervals
ROUNDING = 1e-9
GROUPS = (20, 100, 400)
TRUTHS = (0.5, 0.8, 0.95, 0.98, 0.999)
IMAGES = (1, 4)
RECALLS = (0.85, 0.60, 0.75)
PANELS = (5, 10)
KEYS = ["question", "recalls", "groups", "models", "images", "balance"]
WHOLE = ["classes", "groups", "models", "studies", "within", "images"]
COMMAND = "python benchmarks/coverage.py"
Row = dict[str, object]


def main() -> None:
    """Simulate the studies, and write the table and the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=240, help="studies of each kind")
    parser.add_argument("--resamples", type=int, default=400, help="resamples of each bootstrap")
    parser.add_argument("--groups", type=int, nargs="*", default=list(GROUPS), help="numbers of patients")
    parser.add_argument("--truths", type=float, nargs="*", default=list(TRUTHS), help="chances of a right answer")
    parser.add_argument("--images", type=int, nargs="*", default=list(IMAGES), help="most images of a patient")
    parser.add_argument("--processes", type=int, default=2, help="cells at a time")
    parser.add_argument("--add", action="store_true", help="go on: keep the cells of the table and measure the others")
    parser.add_argument("--out", type=Path, default=Path(), help="folder of metrics/ and docs/")
    options = parser.parse_args()
    path = options.out / "metrics" / "coverage.csv"
    table = pd.read_csv(path, dtype={"recalls": str}) if options.add and path.exists() else pd.DataFrame(columns=KEYS)
    cells = [Cell(*cell) for cell in product(options.truths, options.groups, options.images, BALANCES)]
    jobs = [(interval_coverage, cell) for cell in cells if not _is_in(table, cell)]
    jobs += [(false_alarms, panel) for panel in product(options.groups, PANELS) if not _has_alarms(table, *panel)]
    with ProcessPoolExecutor(options.processes, initializer=threadpool_limits, initargs=(1,)) as pool:
        done = [pool.submit(measure, job, options.studies, options.resamples) for measure, job in jobs]
        for future in progress(as_completed(done), "coverage", len(done)):
            table = pd.concat([table, pd.DataFrame(future.result())], ignore_index=True)
            table = table.astype(dict.fromkeys(WHOLE, int)).sort_values(KEYS, kind="stable", ignore_index=True)
            save(table, path)
    text = markdown(table, options.resamples)
    with atomic_file(options.out / "docs" / "coverage.md") as partial:
        partial.write_text(text, encoding="utf-8")
    print(text)


def save(table: pd.DataFrame, path: Path) -> None:
    """Write the table after each cell, so that an interrupted run can go on with `--add`."""
    with atomic_file(path) as partial:
        table.to_csv(partial, index=False, lineterminator="\n", float_format="%.6f")


def _is_in(table: pd.DataFrame, cell: Cell) -> bool:
    same = table["recalls"].eq(f"{cell.recall:g}") & table["groups"].eq(cell.groups)
    return bool((same & table["images"].eq(cell.images) & table["balance"].eq(cell.balance)).any())


def _has_alarms(table: pd.DataFrame, groups: int, models: int) -> bool:
    return bool((table["groups"].eq(groups) & table["models"].eq(models)).any())


def interval_coverage(cell: Cell, studies: int, resamples: int) -> list[Row]:
    """Measure the share of intervals with the true value, and their width.

    A study in which a score is undefined, such as the recall of a class without images, does not count for this score.
    """
    truths = true_values(cell.recall, cell.images, cell.balance)
    ends = {question: [] for question in truths}
    for study in intervals_of_studies(cell, range(studies), resamples):
        for question, interval in study.items():
            if np.isfinite(interval).all():
                ends[question].append(interval)
    return [
        _interval_row(cell, question, np.array(found), truths[question]) for question, found in ends.items() if found
    ]


def _interval_row(cell: Cell, question: str, ends: np.ndarray, truth: float) -> Row:
    low, high = ends.T
    above, below = low > truth + ROUNDING, high < truth - ROUNDING
    least = float(stats.binom.ppf(0.025, len(ends), LEAST)) / len(ends)
    return {
        **row(
            f"interval of {question}", (cell.recall,), cell.groups, 1, len(ends), np.mean(~(above | below)), (least, 1)
        ),
        "images": cell.images,
        "balance": cell.balance,
        "truth": truth,
        "too_high": np.mean(above),
        "too_low": np.mean(below),
        "width": np.mean(high - low),
        "narrowest": np.min(high - low),
    }


def false_alarms(panel: tuple[int, int], studies: int, resamples: int) -> list[Row]:
    """Measure the share of studies in which any two of a panel, (patients, models), of equally good models differ."""
    (groups, models), alarms = panel, []
    for study in range(studies):
        rng = np.random.default_rng([groups, len(CLASSES), models, study])
        labels, patient, members = draw_panel(rng, groups, np.array(RECALLS), models)
        named = {f"m{number}": probabilities for number, probabilities in enumerate(members)}
        pairs = compare_pairs(labels, draw(patient, resamples, study), named, CLASSES, CONFIDENCE)
        alarms.append((pairs[["p_bootstrap_holm", "p_mcnemar_holm"]] < ALPHA).any())
    most = stats.binom.ppf(0.975, studies, ALPHA) / studies  # an upper limit for a true share of 5 %
    return [
        {
            **row(f"false alarm of {name.removesuffix('_holm')}", RECALLS, groups, models, studies, share, (0, most)),
            "images": 2,
        }
        for name, share in pd.DataFrame(alarms).mean().items()
    ]


def row(
    question: str,
    recalls: tuple[float, ...],
    groups: int,
    models: int,
    studies: int,
    share: float,
    target: tuple[float, float],
) -> Row:
    """Return a row of the table."""
    return {
        "question": question,
        "recalls": " ".join(f"{recall:g}" for recall in recalls),
        "classes": len(CLASSES),
        "groups": groups,
        "models": models,
        "studies": studies,
        "share": share,
        "wanted_low": target[0],
        "wanted_high": target[1],
        "within": int(target[0] <= share <= target[1]),
    }


def markdown(table: pd.DataFrame, resamples: int) -> str:
    """Return the page: the lowest coverage of each score, and the false alarms; those outside the target in bold."""
    table = table.assign(cell=[f"{r.share:.1%}" if r.within else f"**{r.share:.1%}**" for r in table.itertuples()])
    intervals, alarms = (table[table["models"].eq(1) == one] for one in (True, False))
    lines = [
        "# Coverage of intervals and false alarms of tests",
        "",
        f"Written by `{COMMAND}`, {resamples} resamples in each simulated study. Number of studies:",
        f"{_studies(table)}.",
        f"Intervals are measured with a chance of a right answer of {_words(intervals['recalls'].unique())}, with at most",
        f"{_words(intervals['images'].unique())} images of a patient, and with classes of equal and of unequal size.",
        "",
    ]
    if len(intervals):
        lines += [*_summary(intervals), "", *_by_groups(intervals), ""]
    if len(alarms):
        lines += [*_alarms(alarms), ""]
    return "\n".join([*lines, *NOTES, ""])


def _summary(intervals: pd.DataFrame) -> list[str]:
    lowest = intervals.loc[intervals["share"].idxmin()]
    return [
        f"Of {len(intervals)} cells, {(intervals['within'] == 0).sum()} cover less than {LEAST:.0%} by more than chance allows",
        f"for (bold), and {(intervals['share'] < LEAST).sum()} have a share below {LEAST:.0%}. The lowest share is "
        f"{lowest['share']:.1%}, of the {lowest['question']}",
        f"(chance {lowest['recalls']}, {lowest['groups']} patients, up to {lowest['images']:g} images, {lowest['balance']} "
        f"classes). The narrowest interval has a width of {intervals['narrowest'].min():.4f}.",
        "",
        "The lowest coverage of each score for each number of patients:",
    ]


def _by_groups(intervals: pd.DataFrame) -> list[str]:
    worst = intervals.sort_values(["within", "share"], kind="stable").drop_duplicates(["question", "groups"])
    cells = worst.pivot(index="question", columns="groups", values="cell").fillna("")
    own = intervals.groupby("question")
    widths = own["width"].mean().map("{:.3f}".format), own["narrowest"].min().map("{:.4f}".format)
    heads = ["score", *(f"{n} patients" for n in cells.columns), "mean width", "narrowest"]
    return _table(
        heads,
        [
            [question.removeprefix("interval of "), *cells.loc[question], *(width[question] for width in widths)]
            for question in cells.index
        ],
    )


def _alarms(alarms: pd.DataFrame) -> list[str]:
    cells = alarms.pivot(index=["question", "models"], columns="groups", values="cell").fillna("")
    heads = ["question", "models", *(f"{n} patients" for n in cells.columns)]
    return [
        f"Studies of equally good models with a false alarm; bold, above {alarms['wanted_high'].max():.1%}, more than chance",
        "allows for a rate of 5 %:",
        "",
        *_table(heads, [[question, str(models), *cells.loc[(question, models)]] for question, models in cells.index]),
    ]


def _table(heads: list[str], rows: list[list[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in [heads, ["---", *["--:"] * (len(heads) - 1)], *rows]]


def _studies(table: pd.DataFrame) -> str:
    each = table.groupby("groups")["studies"].max()
    error = np.sqrt(CONFIDENCE * (1 - CONFIDENCE) / each)
    return ", ".join(f"{each[n]} of {n} patients (standard error of a share {error[n]:.1%})" for n in each.index)


def _words(values: np.ndarray) -> str:
    *others, last = sorted(f"{float(value):g}" for value in values)
    return f"{', '.join(others)} or {last}" if others else last


NOTES = [
    "`docs/statistics.md` lists the methods. `operating` scores count patients, also those at a stated prevalence. A `drop` is",
    "between two independent cohorts, `difference` between two models of which one is right 0.9 times as often. Intervals of",
    "patients (`evaluate.unit: patient`) are those with one image each. False alarms: studies in which any two of equally",
    "good models differ at 5 % after Holm's correction for all pairs. McNemar's test treats images of a patient as",
    "independent, so its false alarms become more frequent with more patients.",
]


if __name__ == "__main__":
    main()
