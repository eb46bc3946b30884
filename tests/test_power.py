"""The smallest difference that a test set can show has the stated power."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.power import TTestPower

from bonexray import check
from bonexray.aggregate.power import assumed_error, detectable_difference, patients_needed, power_of
from bonexray.study import load_settings

PARAMS = Path(__file__).parents[1] / "params.yaml"


@pytest.mark.parametrize("groups", [20, 36, 200])
@pytest.mark.parametrize("tests", [1, 190])
def test_a_detectable_difference_has_the_power_of_statsmodels(groups: int, tests: int) -> None:
    difference = detectable_difference(0.1, groups, tests)
    effect = difference / (0.1 * np.sqrt(groups))
    power = TTestPower().power(effect, groups, 0.05 / tests)
    assert power == pytest.approx(0.8, abs=0.04)


def test_the_needed_patients_have_the_power_of_statsmodels() -> None:
    error = 0.1
    needed = patients_needed(error, 36)
    effect = 0.05 / (error * 6)
    assert TTestPower().power(effect, needed, 0.05) == pytest.approx(0.8, abs=0.01)
    assert patients_needed(error, 36, 190) > needed


def test_power_is_of_the_median_error_of_pairs_that_vary() -> None:
    pairs = pd.DataFrame({"difference_error": [0, 0.05, 0.1, 0.2, np.inf]})
    found = power_of(pairs, 36)
    assert found["detectable_difference"] == detectable_difference(0.1, 36)
    assert found["detectable_difference_panel"] == detectable_difference(0.1, 36, 5)
    assert found["patients_needed"] == patients_needed(0.1, 36)


def test_a_single_model_or_patient_has_no_power() -> None:
    assert power_of(pd.DataFrame({"difference_error": []}), 36) == {}
    assert power_of(pd.DataFrame({"difference_error": [0.1]}), 1) == {}


def test_the_assumed_error_is_that_of_simulated_models() -> None:
    rng = np.random.default_rng(1)
    shared, one, other = rng.random((3, 200_000)) < 0.3
    copies = rng.random((2, 200_000)) < np.sqrt(0.5)
    errors = [np.where(copy, shared, own) for copy, own in zip(copies, (one, other), strict=True)]
    assert np.std(errors[0].astype(int) - errors[1]) / 6 == pytest.approx(assumed_error(36), rel=0.02)


# Before training


GIVEN = ["train", "train", "train", "train", "val", "val", "val", "val", "test", "test", "test", "test"]


@pytest.mark.parametrize(
    ("simulated", "test", "subset", "folds", "given", "patients"),
    [
        (100, 0.2, 1.0, None, False, 20),
        (100, 0.2, 0.5, None, False, 10),
        (100, 0.2, 1.0, 5, False, 100),  # each fold tests others
        (4, 0.2, 1.0, None, False, 2),
        (None, 0.5, 1.0, None, False, 3),  # half of six
        (None, 0.5, 1.0, None, True, 2),  # those in test of the split that came with the data
        (None, 0.5, 1.0, 3, True, 6),
    ],
)
def test_the_patients_in_test_are_known_before_training(simulated, test, subset, folds, given, patients) -> None:
    sources = [
        SimpleNamespace(path=f"{n}.png", group=f"p{n // 2}", split=split if given else None)
        for n, split in enumerate(GIVEN)
    ]
    settings = SimpleNamespace(
        split=SimpleNamespace(folds=folds, subset=subset, ratios=SimpleNamespace(test=test)),
        phantom=SimpleNamespace(patients=simulated),
    )
    assert check.test_patients(settings, None if simulated else SimpleNamespace(sources=sources)) == patients


def test_check_states_what_the_test_set_can_show() -> None:
    settings = load_settings(PARAMS)
    patients = check.test_patients(settings, None)
    line = check.power_line(settings, None)
    smallest = detectable_difference(assumed_error(patients), patients)
    assert f"about {patients} patients" in line
    assert f"about {smallest:.2f} between two models named beforehand" in line
