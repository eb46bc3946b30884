"""Paired tests of kappa and grade errors: estimates, planted differences, families, undefined scores."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import cohen_kappa_score
from trainings import UNSORTED, one_hot, predictions_of_trainings

from bonexray.aggregate.comparison import compare_pairs
from bonexray.aggregate.grades import GRADE_SCORES, compare_grades
from bonexray.aggregate.multiplicity import holm
from bonexray.aggregate.panel import pairs_of, panel_of
from bonexray.evaluate.bootstrap import draw
from bonexray.evaluate.settings import Evaluate

GRADES = ["none", "some", "much", "most"]
KAPPA, ERROR = GRADE_SCORES


def graded(images: int = 200, seed: int = 7) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Labels, groups of two images, and models: `near` errs as often as `far`, by one grade instead of up to three."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, images)
    wrong = rng.random(images) < 0.4
    near = np.where(wrong, np.where(labels == 3, 2, labels + 1), labels)
    far = np.where(wrong, (labels + 2) % 4, labels)
    models = {name: one_hot(answers, 4)[None] for name, answers in {"near": near, "far": far, "same": near}.items()}
    return labels, np.arange(images) // 2, models


def compared(primary: tuple[str, ...] = (), images: int = 200) -> pd.DataFrame:
    labels, groups, models = graded(images)
    draws = draw(groups, 400, 7)
    pairs = compare_pairs(labels, draws, models, GRADES, 0.95, primary)
    return compare_grades(pairs, labels, draws, models, GRADES, 0.95)


def test_a_difference_is_that_of_the_scores_and_its_interval_contains_it() -> None:
    labels, _, models = graded()
    near, far = (models[name][0].argmax(axis=1) for name in ("near", "far"))
    pair = compared().iloc[0]
    expected = [cohen_kappa_score(labels, answers, weights="quadratic") for answers in (near, far)]
    assert pair[f"{KAPPA}_difference"] == pytest.approx(expected[0] - expected[1])
    assert pair[f"{ERROR}_difference"] == pytest.approx(np.abs(near - labels).mean() - np.abs(far - labels).mean())
    for score in GRADE_SCORES:
        assert pair[f"{score}_difference_low"] < pair[f"{score}_difference"] < pair[f"{score}_difference_high"]


def test_errors_of_fewer_grades_are_found_where_accuracy_is_equal() -> None:
    pair = compared().iloc[0]
    assert pair["p_mcnemar"] == 1, "both are right on the same images"
    for score in GRADE_SCORES:
        assert pair[f"{score}_p_bootstrap_holm"] < 0.001
    assert pair[f"{KAPPA}_difference_low"] > 0 > pair[f"{ERROR}_difference_high"]


def test_an_interval_of_a_large_difference_is_not_cut_at_1() -> None:
    labels, groups = np.arange(40) % 4, np.arange(40)
    opposite = {"right": one_hot(labels, 4)[None], "wrong": one_hot(3 - labels, 4)[None]}
    draws = draw(groups, 200, 7)
    pairs = compare_grades(compare_pairs(labels, draws, opposite, GRADES, 0.95), labels, draws, opposite, GRADES, 0.95)
    assert pairs[f"{KAPPA}_difference"].item() == pytest.approx(2)
    assert pairs[f"{ERROR}_difference_low"].item() < -2 == pytest.approx(pairs[f"{ERROR}_difference"].item())


def test_the_error_of_a_mean_is_students_t_over_groups() -> None:
    labels, _, models = graded(400)
    groups, draws = np.arange(400), draw(np.arange(400), 4000, 7)
    each = {name: np.abs(value[0].argmax(axis=1) - labels) for name, value in models.items()}
    pairs = compare_pairs(labels, draws, models, GRADES, 0.95)
    pair = compare_grades(pairs, labels, draws, models, GRADES, 0.95).iloc[0]
    expected = stats.ttest_rel(each["near"], each["far"]).confidence_interval()
    found = [pair[f"{ERROR}_difference{end}"] for end in ("_low", "_high")]
    assert found == pytest.approx([expected.low, expected.high], abs=0.01)
    assert len(groups) == draws.groups


def test_each_score_is_corrected_for_all_pairs_but_the_planned_one() -> None:
    for primary in ((), ("near", "far")):
        pairs = compared(primary)
        others = pairs["primary"] == 0
        for score in GRADE_SCORES:
            p, corrected = pairs[f"{score}_p_bootstrap"], pairs[f"{score}_p_bootstrap_holm"]
            assert corrected[others].to_numpy() == pytest.approx(holm(p[others].to_numpy()))
            assert corrected[~others].tolist() == p[~others].tolist()


def test_equal_predictions_do_not_differ() -> None:
    pair = compared().query("one == 'near' and other == 'same'").iloc[0]
    for score in GRADE_SCORES:
        assert (pair[f"{score}_difference"], pair[f"{score}_p_bootstrap"]) == (0, 1)


def test_an_undefined_kappa_gives_no_p() -> None:
    labels = np.zeros(12, int)
    models = {"a": one_hot(labels, 4)[None], "b": one_hot(np.arange(12) % 2, 4)[None]}
    draws = draw(np.arange(12), 100, 7)
    pairs = compare_grades(compare_pairs(labels, draws, models, GRADES, 0.95), labels, draws, models, GRADES, 0.95)
    assert np.isnan(pairs[f"{KAPPA}_p_bootstrap_holm"].item())
    assert np.isfinite(pairs[f"{ERROR}_p_bootstrap_holm"].item())


def test_one_model_has_no_pairs_but_the_columns() -> None:
    labels, groups, models = graded(20)
    draws, one = draw(groups, 100, 7), {"near": models["near"]}
    pairs = compare_grades(compare_pairs(labels, draws, one, GRADES, 0.95), labels, draws, one, GRADES, 0.95)
    assert len(pairs) == 0
    assert {f"{score}_p_bootstrap_holm" for score in GRADE_SCORES} <= set(pairs)


def test_a_panel_tests_grades_only_where_classes_are_ordered() -> None:
    panel = panel_of({f"model_{n}": predictions_of_trainings(3, 2, seed=n) for n in range(3)})
    settings = Evaluate(resamples=200)
    plain, ordered = (pairs_of(panel, UNSORTED, settings, order) for order in (False, True))
    assert not [column for column in plain if "grade" in column or "kappa" in column]
    pd.testing.assert_frame_equal(ordered[list(plain)], plain)
    assert (ordered[f"{KAPPA}_p_bootstrap"] <= ordered[f"{KAPPA}_p_bootstrap_holm"]).all()
