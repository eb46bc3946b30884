"""T-scores, the classes of the WHO, and labels that are wrong on purpose."""

import math
from collections.abc import Sequence

import numpy as np

CLASSES = ("normal", "osteopenia", "osteoporosis")
LIMITS = (-4.0, -2.5, -1.0, 0.5)  # T-scores: the lowest, the two between classes, the highest


def who_label(t_score: float) -> str:
    """Return the class of a T-score by the criteria of the WHO.

    Args:
        t_score: in standard deviations.

    Returns:
        "normal" for -1 and above, "osteoporosis" for -2.5 and below, "osteopenia" in between.

    Raises:
        ValueError: the T-score is not finite.

    References:
        WHO Technical Report Series 843, 1994.
    """
    if not math.isfinite(t_score):
        raise ValueError(f"t_score: expected a finite number. Received: {t_score!r}")
    _, osteoporosis, normal, _ = LIMITS
    if t_score >= normal:
        return "normal"
    return "osteoporosis" if t_score <= osteoporosis else "osteopenia"


def draw_t_score(shares: tuple[float, float, float], rng: np.random.Generator) -> float:
    """Draw a T-score, uniform within each class.

    Args:
        shares: of patients with osteoporosis, osteopenia and normal bone; their sum is 1.
        rng: source of one number.
    """
    return float(np.interp(rng.random(), [0, shares[0], shares[0] + shares[1], 1], LIMITS))


def stated_label(label: str, noise: float, rng: np.random.Generator, grades: Sequence[str] = CLASSES) -> str:
    """Return the label, or by chance that of a neighbouring grade.

    Args:
        label: one of the grades.
        noise: the chance, from 0 to 1; a larger one changes the same labels and more.
        rng: source of two numbers.
        grades: from lowest to highest.
    """
    changes, upwards = rng.random() < noise, rng.random() < 0.5
    if not changes:
        return label
    grade, last = grades.index(label), len(grades) - 1
    step = {0: 1, last: -1}.get(grade, 1 if upwards else -1)
    return grades[grade + step]
