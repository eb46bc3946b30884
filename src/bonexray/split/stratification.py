"""Stratified assignment of whole groups to splits, in any ratios."""

from collections.abc import Sequence

import numpy as np

from bonexray.base.errors import BonexrayError


def assign_groups(
    counts: np.ndarray, ratios: Sequence[float], seed: int, *, complete: Sequence[int] | None = None
) -> np.ndarray:
    """Assign groups to parts so that each part has its share of the images of each class.

    First, every part that must be complete gets one small group of each class, beginning with the class with the fewest
    groups. Then each remaining group, the largest first, goes to the part whose class shares are furthest behind (as in
    scikit-learn's StratifiedGroupKFold, for parts of unequal size).

    Args:
        counts: int (groups, classes), images of each class in each group.
        ratios: share of the images of each part; they sum to 1.
        seed: seed of the order of groups of equal size.
        complete: parts that must hold every class; all by default.

    Returns:
        int (groups,), the part of each group.

    Raises:
        ValueError: a class has fewer groups than there are parts to complete.
    """
    complete = range(len(ratios)) if complete is None else complete
    order = np.random.default_rng(seed).permutation(len(counts))
    order = order[np.argsort(-counts[order].sum(axis=1), kind="stable")]
    part = np.full(len(counts), -1)
    _complete_parts(part, counts, order, complete)
    target = np.outer(ratios, counts.sum(axis=0))
    held = np.stack([counts[part == p].sum(axis=0) for p in range(len(ratios))])
    weight = 1 / np.maximum(counts.sum(axis=0), 1)
    for group in order[part[order] < 0]:
        cost = (counts[group] * (2 * (held - target) + counts[group]) * weight).sum(axis=1)
        part[group] = int(np.argmin(cost))
        held[part[group]] += counts[group]
    return part


def require_enough_groups(classes: Sequence[str], counts: np.ndarray, parts: int) -> None:
    """Refuse classes that cannot be in every split, all at once.

    Args:
        classes: names, in the order of the columns of `counts`.
        counts: int (groups, classes), images of each class in each group.
        parts: number of splits.

    Raises:
        BonexrayError: a class has fewer groups than there are splits.
    """
    groups = dict(zip(classes, (counts > 0).sum(axis=0).tolist(), strict=True))
    if rare := {name: number for name, number in groups.items() if number < parts}:
        names = ", ".join(repr(name) for name in rare)
        first = next(iter(rare))
        raise BonexrayError(
            f"class {names}" if len(rare) == 1 else f"classes {names}",
            expected=f"at least {parts} patients or unrelated images, one for each split",
            received=", ".join(map(str, rare.values())),
            do=f"add images, merge them into another class ('+dataset.labels={{{first}: other}}'), or leave them out "
            f"('+dataset.labels={{{first}: null}}'); dataset.patients says what makes a patient",
        )


def _complete_parts(part: np.ndarray, counts: np.ndarray, order: np.ndarray, complete: Sequence[int]) -> None:
    smallest_first = order[::-1]
    for label in np.argsort((counts > 0).sum(axis=0), kind="stable"):
        for number in complete:
            if counts[part == number, label].sum() > 0:
                continue
            free = [group for group in smallest_first if part[group] < 0 and counts[group, label] > 0]
            if not free:
                raise ValueError(f"class {label} has too few groups for {len(complete)} parts")
            part[free[0]] = number
