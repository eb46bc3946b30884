"""Measure the coverage of intervals and the false alarms of tests in simulated studies: `python benchmarks/coverage.py`.

The simulated classifiers are known, so that every score's true value is that of a very large sample. Images of a patient
are correlated and so are models. For each kind of study, the benchmark measures the share of 95 % intervals of every score
that contain the true score, their width, and the share of studies of equally good models in which any two differ
significantly after Holm's correction. Writes metrics/coverage.csv and reports/coverage.md.
"""

import argparse
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats
from scipy.special import softmax

from bonexray.aggregate.comparison import compare_pairs
from bonexray.base.files import atomic_file
from bonexray.evaluate.bootstrap import draw, resampled_metrics
from bonexray.evaluate.intervals import Intervals
from bonexray.evaluate.metrics import all_metrics
from bonexray.evaluate.sample import Sample
from bonexray.evaluate.score_names import ClassScore, Name, with_ending
from bonexray.progress import progress

CONFIDENCE, ALPHA = 0.95, 0.05
LEAST = 0.93  # acceptable coverage of 95 % intervals
GROUPS = (20, 100)
TRUTHS = (0.5, 0.8, 0.98)
IMAGES = (4,)
BALANCES = {"even": (1 / 3, 1 / 3, 1 / 3), "rare": (0.7, 0.2, 0.1)}
LARGE = 20_000  # patients of the sample that gives the true scores
RECALLS = (0.85, 0.60, 0.75)
PANELS = (5, 10)
COMMAND = "python benchmarks/coverage.py"


def main() -> None:
    """Simulate the studies, and write the table and the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=200, help="studies of each kind")
    parser.add_argument("--resamples", type=int, default=400, help="resamples of each bootstrap")
    parser.add_argument("--groups", type=int, nargs="*", default=list(GROUPS), help="numbers of patients")
    parser.add_argument("--truths", type=float, nargs="*", default=list(TRUTHS), help="chances of a right answer")
    parser.add_argument("--images", type=int, nargs="*", default=list(IMAGES), help="most images of a patient")
    parser.add_argument("--out", type=Path, default=Path(), help="folder of metrics/ and reports/")
    options = parser.parse_args()
    rows = []
    for cell in product(options.truths, options.groups, options.images, BALANCES):
        rows += interval_coverage(*cell, options)
    for groups, models in product(options.groups, PANELS):
        rows += false_alarms(np.array(RECALLS), groups, models, options)
    write(pd.DataFrame(rows), options)


def simulate(
    rng: np.random.Generator, groups: int, recalls: np.ndarray, models: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return labels (images,), patients (images,) and one-hot predictions (models, images, classes)."""
    classes = len(recalls)
    patient = np.repeat(np.arange(groups), rng.integers(1, 3, groups))
    labels, images = rng.integers(0, classes, groups)[patient], len(patient)
    luck = (
        rng.standard_normal(groups)[patient]
        + rng.standard_normal(images)
        + rng.standard_normal((models, groups))[:, patient]
        + rng.standard_normal((models, images))
    ) / 2
    others = (labels + rng.integers(1, classes, (models, images))) % classes
    predicted = np.where(luck < stats.norm.ppf(recalls)[labels], labels, others)
    return labels, patient, np.eye(classes)[predicted]


def graded(
    rng: np.random.Generator, groups: int, most: int, shares: tuple[float, ...], recall: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return labels (images,), patients (images,) and probabilities (images, classes) of one model.

    A patient has 1 to `most` images. Half of the variance of the model's evidence belongs to the patient.
    """
    classes = len(shares)
    patient = np.repeat(np.arange(groups), rng.integers(1, most + 1, groups))
    labels = rng.choice(classes, groups, p=shares)[patient]
    luck = (rng.standard_normal(groups)[patient] + rng.standard_normal(len(patient))) / np.sqrt(2)
    margin = stats.norm.ppf(recall) + luck  # of the true class before its rival; below 0, the answer is wrong
    rival = (labels + rng.integers(1, classes, groups)[patient]) % classes
    logits = np.zeros((len(patient), classes)) - 2.0
    logits[np.arange(len(patient)), labels] = margin
    logits[np.arange(len(patient)), rival] = 0
    return labels, patient, softmax(logits, axis=1)


def interval_coverage(
    recall: float, groups: int, most: int, balance: str, options: argparse.Namespace
) -> list[dict[str, object]]:
    """Measure the share of intervals with the true score, that of a very large sample, and their mean width."""
    shares, classes = BALANCES[balance], [str(c) for c in range(len(BALANCES[balance]))]
    labels, patient, probabilities = graded(np.random.default_rng(1), LARGE, most, shares, recall)
    truths = all_metrics(labels, probabilities, classes, ordered=True)
    hits = {name: [] for name in truths if is_shown(name)}
    title = f"{recall}, {groups} patients, 1 to {most} images, {balance}"
    for study in progress(range(options.studies), title, options.studies):
        rng = np.random.default_rng([groups, most, round(1000 * recall), len(balance), study])
        labels, patient, probabilities = graded(rng, groups, most, shares, recall)
        draws = draw(patient, options.resamples, study)
        resampled = resampled_metrics(labels, probabilities, draws, classes, ordered=True)
        sample = Sample(labels, probabilities, classes, True, np.ones((1, len(labels))))
        ends = Intervals(sample, probabilities, patient, resampled, draws, CONFIDENCE).ends()
        for name, found in hits.items():
            low, high = ends[with_ending(name, "_low")], ends[with_ending(name, "_high")]
            if low <= high:  # undefined in a sample without the class
                found.append((low - 1e-9 <= truths[name] <= high + 1e-9, high - low))
    return [
        {
            **row(
                f"interval of {name if isinstance(name, str) else f'{name.score} of class {name.label}'}",
                np.full(len(classes), recall),
                groups,
                1,
                len(found),
                float(np.mean([hit for hit, _ in found])),
                (float(stats.binom.ppf(0.025, len(found), LEAST)) / len(found), 1.0),
            ),
            "recalls": f"{recall:g}",
            "images": most,
            "balance": balance,
            "truth": truths[name],
            "width": float(np.mean([width for _, width in found])),
            "narrowest": float(np.min([width for _, width in found])),
        }
        for name, found in hits.items()
        if found
    ]


def is_shown(name: Name) -> bool:
    """Return whether a table shows the score with an interval; none shows the means weighted by class size."""
    return name.score != "support" if isinstance(name, ClassScore) else not name.startswith("weighted_")


def false_alarms(recalls: np.ndarray, groups: int, models: int, options: argparse.Namespace) -> list[dict[str, object]]:
    """Measure the share of studies in which any two of equally good models differ significantly."""
    classes, alarms = [str(c) for c in range(len(recalls))], []
    title = f"{models} models, {len(classes)} classes, {groups}"
    for study in progress(range(options.studies), title, options.studies):
        rng = np.random.default_rng([groups, len(classes), models, study])
        labels, patient, members = simulate(rng, groups, recalls, models)
        panel = {f"m{number}": probabilities for number, probabilities in enumerate(members)}
        draws = draw(patient, options.resamples, study)
        pairs = compare_pairs(labels, draws, panel, classes, CONFIDENCE)
        alarms.append((pairs[["p_bootstrap_holm", "p_mcnemar_holm"]] < ALPHA).any())
    most = stats.binom.ppf(0.975, options.studies, ALPHA) / options.studies  # an upper limit for a true share of 5 %
    return [
        row(f"false alarm of {name.removesuffix('_holm')}", recalls, groups, models, options.studies, share, (0, most))
        for name, share in pd.DataFrame(alarms).mean().items()
    ]


def row(
    question: str,
    recalls: np.ndarray,
    groups: int,
    models: int,
    studies: int,
    share: float,
    target: tuple[float, float],
) -> dict[str, object]:
    """Return a row of the table."""
    return {
        "question": question,
        "recalls": " ".join(f"{recall:.2f}" for recall in recalls),
        "classes": len(recalls),
        "groups": groups,
        "models": models,
        "studies": studies,
        "share": share,
        "wanted_low": target[0],
        "wanted_high": target[1],
        "within": int(target[0] <= share <= target[1]),
    }


def markdown(table: pd.DataFrame, options: argparse.Namespace) -> str:
    """Return the page: the lowest coverage of each score, and the false alarms; those outside the target in bold."""
    table = table.assign(cell=[f"{r.share:.1%}" if r.within else f"**{r.share:.1%}**" for r in table.itertuples()])
    lowest = table.sort_values("share", kind="stable").drop_duplicates(["question", "recalls", "models", "groups"])
    cells = lowest.pivot(index=["question", "recalls", "models"], columns="groups", values="cell").fillna("")
    intervals = table[table["question"].str.startswith("interval")]
    widths = intervals.groupby(["question", "recalls"])[["width", "narrowest"]].agg(
        {"width": "mean", "narrowest": "min"}
    )
    lines = [
        "# Coverage of intervals and false alarms of tests",
        "",
        f"Written by `{COMMAND}`: {options.studies} simulated studies in each cell, {options.resamples} resamples each.",
        f"A patient has up to {' or '.join(str(most) for most in options.images)} images. Coverage is the lower of two, with "
        "classes of equal and of unequal size.",
        f"Bold: less than {LEAST:.0%} of the 95 % intervals, or more than 5 % of false alarms, by more than chance allows for "
        "this many studies:",
        f"below {table['wanted_low'].max():.1%}, or above {table['wanted_high'][table['models'] > 1].max():.1%}.",
        "",
        "| question | chance of a right answer | models | "
        + " | ".join(f"{n} patients" for n in cells.columns)
        + " | mean width | narrowest |",
        "| --- | --- | --: |" + " --: |" * (len(cells.columns) + 2),
    ]
    for question, recalls, models in cells.index:
        found = (
            [f"{w:.3f}" for w in widths.loc[(question, recalls)]] if (question, recalls) in widths.index else ["", ""]
        )
        row_cells = [question, recalls.replace(" ", ", "), str(models), *cells.loc[(question, recalls, models)], *found]
        lines.append(f"| {' | '.join(row_cells)} |")
    return "\n".join([*lines, "", *NOTES, ""])


NOTES = [
    "Intervals: exact with an effective number of images for proportions, else the bootstrap over patients, widened near the",
    "edges; `docs/statistics.md` lists the methods. False alarms: studies in which any two of equally good models differ at",
    "5 % after Holm's correction for all pairs. McNemar's test treats images of a patient as independent, so its false alarms",
    "become more frequent with more patients.",
]


def write(table: pd.DataFrame, options: argparse.Namespace) -> None:
    """Write the table and the page."""
    with atomic_file(options.out / "metrics" / "coverage.csv") as partial:
        table.to_csv(partial, index=False, lineterminator="\n", float_format="%.6f")
    text = markdown(table, options)
    with atomic_file(options.out / "reports" / "coverage.md") as partial:
        partial.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
