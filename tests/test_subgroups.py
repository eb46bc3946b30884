"""Subgroups: their names, their scores, and gaps that are named if planted and not otherwise."""

import json
import runpy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import REPOSITORY
from recorded import CLASSES, Recorded, recorded
from studies import SHAPES, write_study

from bonexray.data.folds import Run, split_in
from bonexray.dataset.settings import Dataset
from bonexray.evaluate.settings import Evaluate
from bonexray.report.contents import report_page
from bonexray.report.data import read_study
from bonexray.report.provenance import Provenance
from bonexray.report.subgroups import subgroup_sentence
from bonexray.subgroups.permutation import permuted
from bonexray.subgroups.values import subgroups_of

STAGE = runpy.run_path(str(REPOSITORY / "stages/subgroups.py"))
Found = dict[str, dict]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Found]:
    """Return a function that writes a study, runs the stage, and returns the columns of its metrics."""
    monkeypatch.chdir(tmp_path)

    def stage(study: Recorded, *columns: str, **evaluate: object) -> Found:
        study.write()
        options = Dataset(name="x", root="r", inputs=["r"], columns=list(columns), classes=CLASSES, ordered=True)
        settings = Evaluate.model_validate({"resamples": 300, **evaluate})
        STAGE["main"](STAGE["Settings"](evaluate=settings, dataset=options))
        return json.loads(Path("metrics/subgroups.json").read_text())["columns"]

    return stage


# Names

LEARNS = np.array([True] * 6 + [False] * 3)
NUMBERS = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 0.0, 9.0, np.nan]


@pytest.mark.parametrize(
    ("name", "column", "expected"),
    [
        ("sex", ["F", "F", "M", ""], (["F", "F", "M", "unknown"], ["F", "M", "unknown"])),
        (
            "age",
            [39.9, 40.0, 59.5, 60.0, 75.0, np.nan],
            (
                ["under 40", "40 to 59", "40 to 59", "60 to 74", "75 and over", "unknown"],
                ["under 40", "40 to 59", "60 to 74", "75 and over", "unknown"],
            ),
        ),
        ("Patient_Age", [70.0, 80.0], (["60 to 74", "75 and over"], ["60 to 74", "75 and over"])),
        ("grade", [2.0, 10.0, 2.0], (["2", "10", "2"], ["2", "10"])),
    ],
    ids=["words", "ages", "another name", "few numbers"],
)
def test_a_column_gives_subgroups(name: str, column: list, expected: tuple[list[str], list[str]]) -> None:
    words, names = subgroups_of(name, pd.Series(column), np.ones(len(column), bool))
    assert (list(words), names) == expected


def test_other_numbers_are_in_thirds_of_training() -> None:
    words, names = subgroups_of("bmi", pd.Series(NUMBERS), LEARNS)
    assert names == ["under 2.667", "2.667 to 4.333", "4.333 and over", "unknown"]
    assert [names.index(word) for word in words] == [0, 0, 1, 1, 2, 2, 0, 2, 3]


# Exchanges


@pytest.mark.parametrize("constant", [True, False])
def test_exchanges_keep_patients_whole_and_classes_in_their_subgroups(constant: bool) -> None:
    rng = np.random.default_rng(0)
    groups, labels = np.repeat(np.arange(40), 2), np.repeat(rng.integers(0, 3, 40), 2)
    codes = np.repeat(rng.integers(0, 2, 40), 2) if constant else rng.integers(0, 2, 80)
    rows = permuted(codes, labels, groups, 50, seed=1)
    assert rows.shape == (51, 80) and (rows[0] == codes).all() and (rows[1:] != codes).any()
    for row in rows:
        for label in range(3):
            assert sorted(row[labels == label]) == sorted(codes[labels == label])
        if constant:
            assert (row[::2] == row[1::2]).all()
        else:
            pairs = sorted(zip(row[::2], row[1::2], strict=True))
            assert pairs == sorted(zip(codes[::2], codes[1::2], strict=True))


# The stage


def planted(seed: int = 3) -> Recorded:
    """Return a study whose model is right less often on one scanner."""
    study = recorded()
    other = (study.record["scanner"] == "DX 2").to_numpy()
    study.answer(np.random.default_rng(seed).random(len(other)) < np.where(other, 0.4, 0.85))
    return study


def test_a_planted_failure_is_found_on_its_column_alone(run: Callable[..., Found]) -> None:
    found = run(planted(), "sex", "scanner")
    gap = found["scanner"]["gaps"]["balanced_accuracy"]
    assert (gap["higher"], gap["lower"]) == ("DX 1", "DX 2") and gap["p_holm"] < 0.05
    assert 0.25 < gap["difference_low"] < gap["difference"] < gap["difference_high"] < 0.65
    assert found["sex"]["gaps"]["balanced_accuracy"]["p_holm"] > 0.05
    scores = found["scanner"]["values"]["DX 2"]
    assert scores["balanced_accuracy_low"] < scores["balanced_accuracy"] < scores["balanced_accuracy_high"]
    assert {"macro_f1", "roc_auc", "log_loss", "classes", "quadratic_weighted_kappa"} <= set(scores)
    assert Path("reports/subgroups/subgroups.png").stat().st_size > 5000
    assert len(pd.read_csv("reports/subgroups/subgroups.csv")) == 4


def test_a_gap_between_perfect_scores_has_an_interval_of_the_two_scores(run: Callable[..., Found]) -> None:
    study = recorded()
    study.answer(np.ones(len(study.record), bool))
    found = run(study, "scanner")["scanner"]
    gap = found["gaps"]["balanced_accuracy"]
    lowest = min(found["values"][gap[name]]["balanced_accuracy_low"] for name in ("higher", "lower"))
    assert gap["difference"] == 0 and gap["difference_low"] == -gap["difference_high"] == pytest.approx(lowest - 1)


def test_a_column_that_follows_the_class_alone_makes_no_gap(run: Callable[..., Found]) -> None:
    """The model is better at one class, and one scanner has more of it."""
    study, rng = recorded(), np.random.default_rng(4)
    patient = pd.factorize(study.manifest["group"])[0]
    study.record["scanner"] = np.where(rng.random(300)[patient] < np.where(study.labels == 0, 0.8, 0.2), "DX 1", "DX 2")
    study.answer(rng.random(600) < np.where(study.labels == 0, 0.95, 0.5))
    found = run(study, "scanner")
    assert found["scanner"]["gaps"]["balanced_accuracy"]["p"] > 0.05
    accuracy = [scores["accuracy"] for scores in found["scanner"]["values"].values()]
    assert abs(accuracy[0] - accuracy[1]) > 0.15  # which plain accuracy would have called a gap


@pytest.mark.slow
def test_an_innocent_column_is_named_no_more_often_than_its_level(run: Callable[..., Found]) -> None:
    p = [
        run(recorded(120, seed), "scanner", resamples=200)["scanner"]["gaps"]["balanced_accuracy"]["p"]
        for seed in range(40)
    ]
    assert np.mean(np.array(p) < 0.05) < 0.15


def test_few_patients_have_no_scores_and_unknown_is_not_compared(run: Callable[..., Found]) -> None:
    study = recorded()
    scanner = study.record["scanner"].to_numpy().copy()
    tested = np.flatnonzero(study.manifest["split"] == "test")
    scanner[tested[:18]], scanner[tested[18:50]] = "rare", ""
    study.record["scanner"] = scanner
    found = run(study, "scanner")["scanner"]
    assert list(found["values"])[-1] == "unknown" and found["values"]["unknown"]["balanced_accuracy"] > 0
    assert found["values"]["rare"] == {"n": 18, "n_groups": 9, "too_few": 1}
    assert {found["gaps"]["roc_auc"][end] for end in ("higher", "lower")} == {"DX 1", "DX 2"}


def test_answers_may_be_of_patients(run: Callable[..., Found]) -> None:
    found = run(planted(), "scanner", unit="patient")["scanner"]
    assert all(scores["n"] == scores["n_groups"] for scores in found["values"].values())
    assert found["gaps"]["balanced_accuracy"]["p_holm"] < 0.05


def test_with_folds_and_repeats_each_image_is_tested_once(run: Callable[..., Found]) -> None:
    study = planted()
    study.manifest["fold"] = (pd.factorize(study.manifest["group"])[0] % 3 + 1).astype(str)
    study.manifest["split"] = split_in(study.manifest, 1)
    study.runs = [Run(repeat, fold) for repeat in (1, 2) for fold in (1, 2, 3)]
    found = run(study, "scanner")["scanner"]
    assert sum(scores["n"] for scores in found["values"].values()) == 600
    assert found["values"]["DX 2"]["repeats"] == 2
    gap = found["gaps"]["balanced_accuracy"]
    assert gap["lower"] == "DX 2" and gap["p"] < 0.01
    difference = [found["values"][gap[end]]["balanced_accuracy"] for end in ("higher", "lower")]
    assert gap["difference"] == pytest.approx(difference[0] - difference[1])


def test_without_columns_there_is_nothing(run: Callable[..., Found]) -> None:
    assert run(recorded()) == {}
    assert [path.name for path in Path("reports/subgroups").iterdir()] == ["subgroups.csv"]


# The page

PROVENANCE = Provenance({}, ())


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ("three networks", ""),
        ("a record", "No gap between subgroups is shown by 36 test images (smallest p 0.400"),
        (
            "an unequal record",
            "By site, balanced accuracy is lower for site 2 (0.600, n = 16) than for site 1 (0.800, n = 16): a gap of "
            "0.200 (0.050 to 0.340), p 0.003 after Holm's correction.",
        ),
    ],
)
def test_the_page_names_a_gap_that_survives(tmp_path: Path, shape: str, words: str) -> None:
    study = read_study(write_study(tmp_path, SHAPES[shape]), tmp_path)
    assert subgroup_sentence(study).startswith(words) and bool(subgroup_sentence(study)) == bool(words)
    page = report_page(study, PROVENANCE)
    assert ('id="subgroups"' in page) == ('href="#subgroups"' in page) == bool(words)
    assert ("too few" in page) == bool(words)


@pytest.mark.parametrize(
    ("study", "words"), [(planted(), "By scanner, balanced accuracy is lower for DX 2 ("), (recorded(), "No gap")]
)
def test_what_the_stage_finds_is_what_the_page_says(
    run: Callable[..., Found], tmp_path: Path, study: Recorded, words: str
) -> None:
    found = run(study, "sex", "scanner")
    page = read_study(write_study(tmp_path / "page", SHAPES["a record"]), tmp_path / "page")
    sentence = subgroup_sentence(replace(page, subgroups=found))
    assert sentence.startswith(words) and "by sex" not in sentence.lower()


def test_the_page_says_that_nothing_can_be_compared(tmp_path: Path) -> None:
    study = read_study(write_study(tmp_path, SHAPES["a record"]), tmp_path)
    alone = {"site": {"values": study.subgroups["site"]["values"], "gaps": {}}}
    assert subgroup_sentence(replace(study, subgroups=alone)).startswith("No column has two subgroups")
