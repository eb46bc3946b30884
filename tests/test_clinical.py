"""Clinical variables: coded by training alone, refused if they are the answer, and compared with the image."""

import json
import runpy
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import REPOSITORY, Study
from recorded import CLASSES, MODEL, Recorded, recorded
from studies import SHAPES, write_study

from bonexray.base.errors import BonexrayError
from bonexray.base.files import read_json, write_json
from bonexray.clinical.design import design
from bonexray.data.folds import Run, split_in
from bonexray.data.paths import EVALUATED, MODEL_CARD, PREDICTIONS
from bonexray.dataset.definition import require_no_definition, require_no_separation, separation
from bonexray.dataset.settings import Dataset
from bonexray.evaluate.settings import Evaluate
from bonexray.report.clinical import clinical_sentence
from bonexray.report.contents import report_page
from bonexray.report.data import read_study
from bonexray.report.provenance import Provenance

STAGE = runpy.run_path(str(REPOSITORY / "stages/clinical.py"))
Found = dict[str, dict]


def options(*clinical: str, **changes: object) -> Dataset:
    return Dataset(name="x", root="r", inputs=["r"], clinical=list(clinical), classes=CLASSES, ordered=True, **changes)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Found]:
    """Return a function that writes a study, runs the stage, and returns its metrics."""
    monkeypatch.chdir(tmp_path)

    def stage(study: Recorded, *clinical: str, **evaluate: object) -> Found:
        study.write()
        settings = Evaluate.model_validate({"resamples": 300, **evaluate})
        STAGE["main"](STAGE["Settings"](evaluate=settings, dataset=options(*clinical)))
        return json.loads(Path("metrics/clinical.json").read_text())

    return stage


# The design

TRAIN = np.array([True] * 4 + [False] * 2)


@pytest.mark.parametrize(
    ("column", "raw"),
    [
        ([1.0, 2.0, 3.0, 10.0, 5.0, np.nan], [[1, 2, 3, 10, 5, 2.5]]),
        ([1.0, np.nan, 3.0, 5.0, np.nan, 7.0], [[1, 3, 3, 5, 3, 7], [0, 1, 0, 0, 1, 0]]),
        (["F", "F", "M", "X", "new", "M"], [[0, 0, 1, 0, 0, 1], [0, 0, 0, 1, 0, 0]]),
        (["F", "F", "M", "", "", "M"], [[0, 0, 1, 0, 0, 1], [0, 0, 0, 1, 1, 0]]),
        ([np.nan] * 4 + [1.0, 2.0], [[0, 0, 0, 0, 1, 2], [1, 1, 1, 1, 0, 0]]),
    ],
    ids=[
        "median",
        "a flag for missing numbers",
        "words, one of them new",
        "a flag for missing words",
        "none in training",
    ],
)
def test_variables_are_filled_coded_and_scaled_by_training(column: list, raw: list[list[float]]) -> None:
    values = np.array(raw, float).T
    spread = values[TRAIN].std(axis=0)
    expected = (values - values[TRAIN].mean(axis=0)) / np.where(spread > 0, spread, 1)
    assert design(pd.DataFrame({"fact": column}), TRAIN) == pytest.approx(expected)


def test_test_images_change_nothing_of_the_design() -> None:
    record = pd.DataFrame({"age": [50.0, 60.0, 70.0, np.nan, 1000.0, 5.0], "sex": ["F", "M", "F", "", "Z", "Z"]})
    other = record.copy()
    other.loc[4:, "age"], other.loc[4:, "sex"] = -1.0, "Y"
    assert design(record, TRAIN)[TRAIN] == pytest.approx(design(other, TRAIN)[TRAIN])


# Refused


@pytest.mark.parametrize(
    "name", ["t_score", "T-Score", "tscore", "Z score", "hip_bmd", "BMD (g/cm2)", "KL", "diagnosis", "label"]
)
def test_a_variable_named_like_the_class_is_refused(name: str) -> None:
    with pytest.raises(BonexrayError, match="named like the class or what defines it"):
        require_no_definition(options(name))
    require_no_definition(options(name, clinical_trusted=[name]))


@pytest.mark.parametrize("name", ["age", "sex", "bmi", "weight", "previous_fracture", "score"])
def test_other_variables_are_not(name: str) -> None:
    require_no_definition(options(name))


def test_the_label_column_is_refused_whatever_its_name() -> None:
    with pytest.raises(BonexrayError, match="named like the class"):
        require_no_definition(options("finding", label_column="finding"))


LABELS = np.repeat(np.array(["a", "b", "c"], dtype=object), 20)
RNG = np.random.default_rng(0)
LEVEL = np.repeat([0.0, 1.0, 2.0], 20)


@pytest.mark.parametrize(
    ("values", "low", "high"),
    [
        (LEVEL + RNG.random(60) / 2, 1, 1),
        (-LEVEL, 1, 1),
        (RNG.random(60), 0.5, 0.7),
        (np.where(RNG.random(60) < 0.3, np.nan, LEVEL), 1, 1),
        (np.repeat(np.array(["x", "z", "y"], dtype=object), 20), 1, 1),
        (np.array(["x", "y"] * 30, dtype=object), 0.5, 0.5),
        (np.where(LEVEL == 1, 5.0, 0.0), 0.8, 0.85),
    ],
    ids=["grades", "falling", "noise", "with gaps", "words", "words apart", "two of three"],
)
def test_a_column_separates_the_classes(values: np.ndarray, low: float, high: float) -> None:
    assert low - 1e-9 <= separation(values, LABELS) <= high + 1e-9


def test_a_variable_that_is_the_class_is_refused_unless_trusted() -> None:
    record, train = pd.DataFrame({"density": LEVEL + RNG.random(60) / 2}), np.ones(60, bool)
    with pytest.raises(BonexrayError, match=r"'density'.* separates the classes in training with an AUC of 1\.000"):
        require_no_separation(options("density"), record, LABELS, train)
    require_no_separation(options("density", clinical_trusted=["density"]), record, LABELS, train)
    require_no_separation(options("density"), record, RNG.permutation(LABELS), train)


def test_the_split_refuses_it_before_any_training(study: Study) -> None:
    lines = []
    for number in range(24):
        name = ("normal", "osteoporosis")[number % 2]
        study.image(f"data/raw/{name}/{number}.png", seed=100 + number)
        lines.append(f"{name}/{number}.png,{number % 2 + number / 100}\n")
    study.write("data/raw/record.csv", "image,density\n" + "".join(lines))
    study.change({"dataset.record": "data/raw/record.csv", "dataset.clinical": ["density"]})
    done = study.stage("split")
    assert done.returncode == 1 and "dataset.clinical_trusted" in done.stderr
    study.change({"dataset.clinical_trusted": ["density"]})
    assert study.stage("split").returncode == 0


# The stage


def with_bmi(strength: float) -> Recorded:
    """Return a study with a body mass index that follows the class by so many standard deviations a grade."""
    study, rng = recorded(), np.random.default_rng(7)
    patient = pd.factorize(study.manifest["group"])[0]
    values = 25 + strength * study.labels + rng.normal(0, 1, 300)[patient]
    study.record["bmi"] = [f"{value:.2f}" for value in values]
    study.record.loc[:9, "bmi"] = ""
    return study


@pytest.mark.parametrize(("strength", "adds"), [(2.0, True), (0.0, False)])
def test_what_the_record_adds_is_what_it_knows(run: Callable[..., Found], strength: float, adds: bool) -> None:
    found = run(with_bmi(strength), "bmi", "sex")
    models, gain = found["models"], found["adds"]["record"]
    assert list(models) == ["record", "image", "both"] and found["networks"] == [MODEL]
    assert (models["record"]["balanced_accuracy"] > 0.55) == adds
    assert (gain["difference_low"] > 0) == adds == (gain["p_holm"] < 0.05)
    assert gain["difference_low"] <= gain["difference"] <= gain["difference_high"]
    assert gain["difference"] == pytest.approx(
        models["both"]["balanced_accuracy"] - models["image"]["balanced_accuracy"]
    )


def test_the_image_adds_what_the_record_lacks(run: Callable[..., Found]) -> None:
    gain = run(with_bmi(0.0), "bmi")["adds"]["image"]
    assert gain["difference_low"] > 0.05


def test_a_few_variables_are_heard_beside_many_features(run: Callable[..., Found]) -> None:
    study = with_bmi(2.0)
    study.features = np.random.default_rng(0).normal(0, 1, (600, 400))  # that tell nothing
    found = run(study, "bmi")["models"]
    assert found["both"]["fitted"]["fold 1"]["scale"] > 1
    assert found["both"]["balanced_accuracy"] > found["record"]["balanced_accuracy"] - 0.1


def test_without_a_frozen_network_the_record_stands_alone(run: Callable[..., Found], monkeypatch) -> None:
    study = with_bmi(2.0)
    write = study.write

    def scratch() -> None:
        write()
        write_json(EVALUATED / MODEL / MODEL_CARD, {**read_json(EVALUATED / MODEL / MODEL_CARD), "mode": "scratch"})

    monkeypatch.setattr(study, "write", scratch)
    found = run(study, "bmi")
    assert list(found["models"]) == ["record"] and found["adds"] == {} and found["networks"] == []


def test_answers_may_be_of_patients(run: Callable[..., Found]) -> None:
    found = run(with_bmi(2.0), "bmi", unit="patient")
    assert found["models"]["both"]["n"] == found["models"]["both"]["n_groups"] and found["adds"]["record"]["p"] < 0.05


def test_each_fold_chooses_its_network_on_its_own_validation_images(run: Callable[..., Found], monkeypatch) -> None:
    study, other = with_folds(with_bmi(2.0)), "vgg16"
    write = study.write

    def two_networks() -> None:
        write()
        shutil.copytree(EVALUATED / MODEL, EVALUATED / other)
        table = pd.read_csv(EVALUATED / MODEL / PREDICTIONS)
        for name, right in ((MODEL, table["fold"] != 2), (other, table["fold"] == 2)):
            probabilities = (table["label"].to_numpy()[:, None] == CLASSES) * np.where(right, 0.6, -0.15)[:, None] + 0.2
            columns = {f"prob_{label}": column for label, column in zip(CLASSES, probabilities.T, strict=True)}
            predicted = np.array(CLASSES)[probabilities.argmax(axis=1)]
            table.assign(**columns, predicted=predicted).to_csv(EVALUATED / name / PREDICTIONS, index=False)
        scores = read_json("metrics/models.json")
        write_json("metrics/models.json", {**scores, other: {**scores[MODEL], "val_balanced_accuracy": 0.6}})

    monkeypatch.setattr(study, "write", two_networks)
    assert run(study, "bmi")["networks"] == [MODEL, other]


def with_folds(study: Recorded) -> Recorded:
    study.manifest["fold"] = (pd.factorize(study.manifest["group"])[0] % 3 + 1).astype(str)
    study.manifest["split"] = split_in(study.manifest, 1)
    study.runs = [Run(1, fold) for fold in (1, 2, 3)]
    return study


def test_each_fold_is_fitted_on_its_own_training(run: Callable[..., Found]) -> None:
    study = with_folds(with_bmi(2.0))
    study.runs = [Run(repeat, fold) for repeat in (1, 2) for fold in (1, 2, 3)]
    both = run(study, "bmi")["models"]["both"]
    assert both["n"] == 600 and list(both["fitted"]) == ["fold 1", "fold 2", "fold 3"]


def test_without_variables_there_is_nothing(run: Callable[..., Found]) -> None:
    assert run(recorded())["models"] == {}


# The page


@pytest.mark.parametrize("shape", ["three networks", "a record"])
def test_the_page_says_what_each_adds(tmp_path: Path, shape: str) -> None:
    study = read_study(write_study(tmp_path, SHAPES[shape]), tmp_path)
    page, some = report_page(study, Provenance({}, ())), shape == "a record"
    assert ('id="clinical"' in page) == ('href="#clinical"' in page) == some
    assert clinical_sentence(study) == (
        "The image adds +0.220 (+0.170 to +0.270) to the record in balanced accuracy, p 0.003 after Holm's correction. The record adds +0.020 "
        "(−0.030 to +0.070) to the image in balanced accuracy, p 0.400 after Holm's correction: not decided by this study."
        if some
        else ""
    )
