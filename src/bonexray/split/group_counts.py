"""Groups into splits: stratified by class, whole groups only, any ratios."""

from collections.abc import Sequence

import numpy as np

from bonexray.errors import BonexrayError


def assign_groups(
    counts: np.ndarray, ratios: Sequence[float], seed: int, *, complete: Sequence[int] | None = None
) -> np.ndarray:
    """Distribute groups over parts so that each class has its share of images in each part.

    First every part that must be complete gets one small group of each class, the class with the fewest groups
    first; then the remaining groups, large ones first, go where the class shares are furthest behind (the idea
    of scikit-learn's StratifiedGroupKFold, for unequal parts).

    Args:
        counts: int (groups, classes), images of each class in each group.
        ratios: share of the images for each part; they sum to 1.
        seed: decides the order in which groups of equal number are taken.
        complete: the parts that must hold every class; all of them by default.

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
    """Refuse a class that cannot stand in every split.

    Args:
        classes: names, in the order of the columns of `counts`.
        counts: int (groups, classes), images of each class in each group.
        parts: number of splits.

    Raises:
        BonexrayError: naming the class and how many independent groups of images it has.
    """
    for name, groups in zip(classes, (counts > 0).sum(axis=0), strict=True):
        if groups < parts:
            raise BonexrayError(
                f"class {name!r}",
                expected=f"at least {parts} patients or unrelated images, one a split",
                received=f"{groups}",
                do="add images of this class or take the class out of the dataset",
            )


def _complete_parts(part: np.ndarray, counts: np.ndarray, order: np.ndarray, complete: Sequence[int]) -> None:
    smallest_first = order[::-1]
    for label in np.argsort((counts > 0).sum(axis=0), kind="stable"):
        for wanted in complete:
            if counts[part == wanted, label].sum() > 0:
                continue
            free = [group for group in smallest_first if part[group] < 0 and counts[group, label] > 0]
            if not free:
                raise ValueError(f"class {label} has too few groups for {len(complete)} parts")
            part[free[0]] = wanted
