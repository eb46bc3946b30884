"""How often intervals hold the truth and equal models are told apart: `python benchmarks/coverage.py`.

Simulated studies of classifiers whose recalls are known. A patient has one or two images, and an answer depends on the
patient, on the image, on the model's own luck with the patient and on chance, in equal parts, so that images of a
patient are correlated and so are models. Two questions are asked of each kind of study: what share of the 95 % intervals
of accuracy and balanced accuracy holds the truth, and in what share of studies of equally good models any two are told
apart after Holm's correction. Writes metrics/coverage.csv and reports/coverage.md.
"""

import argparse
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from bonexray.aggregate.comparison import compare_pairs
from bonexray.evaluate.bootstrap import draw, intervals, resampled_metrics
from bonexray.evaluate.metrics import overall
from bonexray.files import atomic_file
from bonexray.progress import progress

CONFIDENCE, ALPHA = 0.95, 0.05
WANTED = (0.93, 0.97)  # of the intervals
GROUPS = (36, 100, 300)
RECALLS = {"good": {2: (0.85, 0.70), 3: (0.85, 0.60, 0.75)}, "excellent": {2: (0.95, 0.90), 3: (0.95, 0.88, 0.92)}}
PANELS = (5, 10)
COMMAND = "python benchmarks/coverage.py"


def main() -> None:
    """Simulate the studies and write the table and the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=1000, help="of each kind")
    parser.add_argument("--resamples", type=int, default=1000, help="of each bootstrap")
    parser.add_argument("--groups", type=int, nargs="*", default=list(GROUPS), help="patients of a study")
    parser.add_argument("--out", type=Path, default=Path(), help="folder for metrics/ and reports/")
    options = parser.parse_args()
    rows = []
    for (skill, recalls), classes, groups in product(RECALLS.items(), (2, 3), options.groups):
        rows += held(skill, np.array(recalls[classes]), groups, options)
    for groups, models in product(options.groups, PANELS):
        rows += comparison_sentence(np.array(RECALLS["good"][3]), groups, models, options)
    write(pd.DataFrame(rows), options)


def simulate(
    rng: np.random.Generator, groups: int, recalls: np.ndarray, models: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels (images,), patients (images,) and answers as probabilities (models, images, classes) of 0 and 1."""
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
    answers = np.where(luck < stats.norm.ppf(recalls)[labels], labels, others)
    return labels, patient, np.eye(classes)[answers]


def held(skill: str, recalls: np.ndarray, groups: int, options: argparse.Namespace) -> list[dict[str, object]]:
    """The share of studies whose interval holds the truth: labels are equally frequent, so both scores' is one."""
    classes, truth = [str(c) for c in range(len(recalls))], recalls.mean()
    hits = []
    for study in progress(range(options.studies), f"{skill}, {len(classes)} classes, {groups}", options.studies):
        rng = np.random.default_rng([groups, len(classes), round(1000 * truth), study])
        labels, patient, [answers] = simulate(rng, groups, recalls, 1)
        draws = draw(patient, options.resamples, study)
        ends = intervals(resampled_metrics(labels, answers, draws, classes, metrics=[overall]), draws, CONFIDENCE)
        hits.append(
            {
                name: ends[f"{name}_low"] - 1e-12 <= truth <= ends[f"{name}_high"] + 1e-12
                for name in ("accuracy", "balanced_accuracy")
            }
        )
    return [
        row(f"interval of {name}", recalls, groups, 1, options.studies, share, WANTED)
        for name, share in pd.DataFrame(hits).mean().items()
    ]


def comparison_sentence(
    recalls: np.ndarray, groups: int, models: int, options: argparse.Namespace
) -> list[dict[str, object]]:
    """The share of studies in which any two of equally good models are told apart."""
    classes, alarms = [str(c) for c in range(len(recalls))], []
    title = f"{models} models, {len(classes)} classes, {groups}"
    for study in progress(range(options.studies), title, options.studies):
        rng = np.random.default_rng([groups, len(classes), models, study])
        labels, patient, answers = simulate(rng, groups, recalls, models)
        panel = {f"m{number}": answer for number, answer in enumerate(answers)}
        draws = draw(patient, options.resamples, study)
        pairs = compare_pairs(labels, draws, panel, classes, CONFIDENCE)
        alarms.append((pairs[["p_bootstrap_holm", "p_mcnemar_holm"]] < ALPHA).any())
    most = stats.binom.ppf(0.975, options.studies, ALPHA) / options.studies  # what chance makes of 5 %
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
    wanted: tuple[float, float],
) -> dict[str, object]:
    """A line of the table; a share is within what is wanted or it is not."""
    return {
        "question": question,
        "recalls": " ".join(f"{recall:.2f}" for recall in recalls),
        "classes": len(recalls),
        "groups": groups,
        "models": models,
        "studies": studies,
        "share": share,
        "wanted_low": wanted[0],
        "wanted_high": wanted[1],
        "within": int(wanted[0] <= share <= wanted[1]),
    }


def markdown(table: pd.DataFrame, options: argparse.Namespace) -> str:
    """The page: shares by what is asked, wide over the numbers of patients; what is not within is in bold."""
    cells = table.assign(
        cell=[f"{r.share:.1%}" if r.within else f"**{r.share:.1%}**" for r in table.itertuples()]
    ).pivot(index=["question", "recalls", "models"], columns="groups", values="cell")
    lines = [
        "# How often the statistics are right",
        "",
        f"Written by `{COMMAND}`: {options.studies} simulated studies in each cell, {options.resamples} resamples each.",
        "A patient has one or two images. Bold: outside what is wanted, which is 93 to 97 % of the 95 % intervals, and",
        f"at most {table['wanted_high'][table['models'] > 1].max():.1%} of false alarms, 5 % and what chance adds to it.",
        "",
        "| question | recall of each class | models | " + " | ".join(f"{n} patients" for n in cells.columns) + " |",
        "| --- | --- | --: |" + " --: |" * len(cells.columns),
    ]
    lines += [
        f"| {question} | {recalls.replace(' ', ', ')} | {models} | {' | '.join(cells.loc[question, recalls, models])} |"
        for question, recalls, models in cells.index
    ]
    return "\n".join([*lines, "", *NOTES, ""])


NOTES = [
    "Intervals: bias-corrected and accelerated bootstrap over patients, expanded by Student's t. False alarms: any two of",
    "equally good models told apart at 5 % after Holm's correction over all pairs of the panel. McNemar's test takes images",
    "of one patient for independent, so that it errs more often the more patients there are to be certain of.",
]


def write(table: pd.DataFrame, options: argparse.Namespace) -> None:
    """Write the numbers and the page."""
    with atomic_file(options.out / "metrics" / "coverage.csv") as partial:
        table.to_csv(partial, index=False, lineterminator="\n", float_format="%.6f")
    text = markdown(table, options)
    with atomic_file(options.out / "reports" / "coverage.md") as partial:
        partial.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
