"""Intervals equal published ones, never have width 0, and contain the true score near the edges."""

import numpy as np
import pytest
from scipy.stats import binom
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.proportion import proportion_confint

from bonexray.evaluate.bootstrap import draw, resampled_metrics
from bonexray.evaluate.intervals import Intervals
from bonexray.evaluate.proportions import area, difference_of, exact, mean_of, wilson
from bonexray.evaluate.sample import Sample
from bonexray.evaluate.score_names import ClassScore, Name, with_ending

NAMES = ["a", "b", "c"]


def ends_of(labels: np.ndarray, probabilities: np.ndarray, groups: np.ndarray) -> tuple[dict[Name, float], list[Name]]:
    """Return the bounds of every score, and the names of the scores that are defined."""
    draws, sample = draw(groups, 300, 7), Sample(labels, probabilities, NAMES, True, np.ones((1, len(labels))))
    resampled = resampled_metrics(labels, probabilities, draws, NAMES, ordered=True)
    defined = [name for name, values in resampled.items() if not np.isnan(values[0])]
    return Intervals(sample, probabilities, groups, resampled, draws, 0.95).ends(), defined


@pytest.mark.parametrize(
    ("hits", "n", "score", "clopper"),
    [
        (81, 263, (0.2553, 0.3662), (0.2527, 0.3676)),
        (15, 148, (0.0624, 0.1605), (0.0578, 0.1617)),
        (0, 20, (0.0, 0.1611), (0.0, 0.1684)),
        (1, 29, (0.0061, 0.1718), (0.0009, 0.1776)),
    ],
)
def test_proportions_equal_newcombes_table_and_statsmodels(hits: int, n: int, score: tuple, clopper: tuple) -> None:
    assert wilson(hits / n, n) == pytest.approx(score, abs=6e-5)
    assert exact(hits / n, n) == pytest.approx(clopper, abs=6e-5)
    assert wilson(hits / n, n) == pytest.approx(proportion_confint(hits, n, method="wilson"))
    assert exact(hits / n, n) == pytest.approx(proportion_confint(hits, n, method="beta"))


def test_the_mean_of_one_proportion_has_its_interval() -> None:
    assert mean_of(np.array([0.8]), np.array([0.5]), np.array([0.9])) == pytest.approx((0.5, 0.9))
    low, high = mean_of(np.array([1.0, 1.0]), np.array([0.7, 0.7]), np.ones(2))
    assert (low, high) == (pytest.approx(1 - 0.3 / np.sqrt(2)), 1)


@pytest.mark.parametrize("estimate", [0.0, 0.3, 0.5, 0.9, 0.999, 1.0])
def test_the_interval_of_an_area_contains_it_and_is_symmetric(estimate: float) -> None:
    low, high = area(estimate, 12, 24)
    assert 0 <= low <= estimate <= high <= 1 and high - low > 0.1
    assert area(1 - estimate, 12, 24) == pytest.approx((1 - high, 1 - low))


def test_the_difference_of_two_proportions_has_newcombes_interval() -> None:
    one, other = (56 / 70, *wilson(56 / 70, 70)), (48 / 80, *wilson(48 / 80, 80))
    assert difference_of(one, other) == pytest.approx((0.0524, 0.3339), abs=6e-5)
    assert difference_of(other, one) == pytest.approx((-0.3339, -0.0524), abs=6e-5)
    assert difference_of((1.0, 0.9, 1.0), (1.0, 0.8, 1.0)) == pytest.approx((-0.1, 0.2))


LABELS = np.arange(36) % 3
RIGHT = np.eye(3)[LABELS]
DEGENERATE = {
    "perfect": (LABELS, RIGHT, np.arange(36)),
    "perfect, pairs of images": (LABELS, RIGHT * 0.97 + 0.01, np.arange(36) // 2),
    "collapsed": (LABELS, np.eye(3)[np.zeros(36, int)], np.arange(36)),
    "always wrong": (LABELS, np.eye(3)[(LABELS + 1) % 3], np.arange(36)),
    "the same answer": (LABELS, np.full((36, 3), 1 / 3), np.arange(36)),
    "one patient": (LABELS, RIGHT * 0.97 + 0.01, np.zeros(36)),
    "one class perfect": (LABELS, np.where((LABELS == 0)[:, None], RIGHT, np.eye(3)[(LABELS // 2) + 1]), np.arange(36)),
    "one image": (LABELS[:1], RIGHT[:1], np.arange(1)),
}


@pytest.mark.parametrize("kind", DEGENERATE)
def test_no_interval_has_width_0(kind: str) -> None:
    ends, defined = ends_of(*DEGENERATE[kind])
    assert [name for name in defined if not ends[with_ending(name, "_high")] > ends[with_ending(name, "_low")]] == []


def test_eleven_of_eleven_right_has_the_exact_interval() -> None:
    labels = np.repeat([0, 1, 2], [11, 14, 11])
    ends, _ = ends_of(labels, np.eye(3)[labels], np.arange(36))
    found = [ends[with_ending(ClassScore("recall", "a"), end)] for end in ("_low", "_high")]
    assert found == pytest.approx(proportion_confint(11, 11, method="beta"))


def test_copies_of_an_image_do_not_narrow_the_interval() -> None:
    single, _ = ends_of(LABELS, RIGHT, np.arange(36))
    copied, _ = ends_of(np.repeat(LABELS, 4), np.repeat(RIGHT, 4, axis=0), np.repeat(np.arange(36), 4))
    assert copied["accuracy_low"] == pytest.approx(single["accuracy_low"], abs=0.01)


@pytest.mark.parametrize(("wrong", "patients", "images"), [(0, 20, 1), (0, 40, 3), (2, 40, 1), (8, 20, 4), (16, 40, 1)])
def test_errors_between_two_grades_have_the_exact_interval_of_patients(wrong: int, patients: int, images: int) -> None:
    groups = np.repeat(np.arange(patients), images)
    labels = groups % 2
    answers = np.where(np.arange(len(labels)) * wrong % len(labels) < wrong, 1 - labels, labels)
    draws, probabilities = draw(groups, 300, 7), np.eye(2)[answers]
    resampled = resampled_metrics(labels, probabilities, draws, NAMES[:2], ordered=True)
    sample = Sample(labels, probabilities, NAMES[:2], True, np.ones((1, len(labels))))
    ends = Intervals(sample, probabilities, groups, resampled, draws, 0.95).ends()
    low, high = exact(wrong / len(labels), patients)
    assert ends["mean_absolute_grade_error_low"] == pytest.approx(low, abs=0.02)
    assert ends["mean_absolute_grade_error_high"] == pytest.approx(high, abs=0.02)
    assert ends["cohen_kappa_low"] < 1 - 2 * high + 0.05
    assert ends["quadratic_weighted_kappa_low"] == ends["cohen_kappa_low"], "two grades have one distance"


@pytest.mark.parametrize("wrong", [0, 3, 6, 12])
def test_errors_of_two_grades_that_the_sample_does_not_show_are_allowed_for(wrong: int) -> None:
    near = np.where(np.arange(36) < wrong, 1, LABELS)  # no error is of two grades
    estimate = cohen_kappa_score(LABELS, near, weights="quadratic")
    unseen, cost = (
        1 - 0.05 ** (1 / 36),
        4 / (4 / 3),
    )  # share of such errors, and what kappa loses if all images have one
    ends, _ = ends_of(LABELS, np.eye(3)[near], np.arange(36))
    assert estimate - ends["quadratic_weighted_kappa_low"] > cost * unseen


def test_recall_and_accuracy_are_covered_near_1() -> None:
    hits, studies = {"accuracy": 0, ClassScore("recall", "a"): 0}, 60
    for study in range(studies):
        rng = np.random.default_rng(study)
        labels = np.arange(33) % 3
        answers = np.where(rng.random(33) < 0.98, labels, (labels + 1) % 3)
        ends, _ = ends_of(labels, np.eye(3)[answers], np.arange(33))
        for name in hits:
            hits[name] += ends[with_ending(name, "_low")] <= 0.98 <= ends[with_ending(name, "_high")]
    least = binom.ppf(0.001, studies, 0.95)
    assert min(hits.values()) >= least, hits
