"""External cohorts: what is read and left out, the answers of every model, and what the scores lose."""

import runpy
import subprocess
from contextlib import chdir
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import REPOSITORY, Study

from bonexray.base.config import load
from bonexray.base.errors import BonexrayError
from bonexray.base.files import read_json
from bonexray.compute import Compute
from bonexray.data.arrays import ArrayFile
from bonexray.data.folds import FIRST
from bonexray.data.manifest import read_classes, read_manifest
from bonexray.data.paths import IMAGES, PREDICTIONS, REGRESSION, model_folder
from bonexray.data.predictions import read_predictions
from bonexray.evaluate.evaluation import evaluate
from bonexray.evaluate.prior import Learned
from bonexray.evaluate.settings import Evaluate
from bonexray.external.answers import answers_of
from bonexray.external.cohort import COPY, read_cohort
from bonexray.external.scoring import Scoring
from bonexray.external.settings import ExternalCohort
from bonexray.report.external import chosen_sentences, external_warnings
from bonexray.split.contradictions import SAME
from bonexray.split.settings import Audit

CLASSES = ["normal", "osteoporosis"]
COMPUTE, AUDIT = Compute(), Audit(neighbours=0)  # equal pixels are found without the search


# What is read


@pytest.fixture
def development(study: Study) -> tuple[Path, pd.DataFrame]:
    """Return the folder of a development cohort and its manifest."""
    paths = sorted(path.relative_to(study.folder / "data/raw") for path in study.folder.glob("data/raw/*/*.png"))
    rows = [(str(path), path.parent.name, str(path)) for path in paths]
    return study.folder / "data/raw", pd.DataFrame(rows, columns=["path", "label", "group"])


def cohort(study: Study, **settings: object) -> ExternalCohort:
    return ExternalCohort(root=str(study.folder / "other"), **settings)


def lay_out(study: Study, counts: dict[str, int]) -> None:
    for number, (label, count) in enumerate(counts.items()):
        for image in range(count):
            study.image(f"other/{label}/{image}.png", seed=1000 + 100 * number + image)


def test_labels_are_mapped_to_the_classes_of_the_study_and_others_are_counted(
    study: Study, development: tuple[Path, pd.DataFrame]
) -> None:
    lay_out(study, {"kl0": 3, "kl4": 2, "osteoporosis": 1, "implant": 4})
    settings = cohort(study, labels={"kl0": "normal", "kl4": "osteoporosis"})
    result = read_cohort("b", settings, development, CLASSES, AUDIT, COMPUTE)
    assert result.images["label"].value_counts().to_dict() == {"normal": 3, "osteoporosis": 3}
    assert result.unmapped == {"implant": 4} and result.left_out.empty
    assert result.images["id"].is_unique


REFUSED = {
    "no label is a class": (
        {"a": 2, "b": 2},
        {},
        r"external\.b: expected images of normal, osteoporosis.*labels=\{LABEL",
    ),
    "a label that is not there": ({"normal": 2, "b": 2}, {"kl9": "normal"}, r"external\.b\.labels: .*received kl9"),
    "a class that is not there": ({"normal": 2, "b": 2}, {"b": "broken"}, r"external\.b\.labels: .*received broken"),
    "one class": ({"normal": 2, "b": 2}, {}, r"external\.b: expected usable images of at least two.*only normal"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_cohort_that_cannot_be_scored_is_refused_in_one_line(
    case: str, study: Study, development: tuple[Path, pd.DataFrame]
) -> None:
    counts, labels, expected = REFUSED[case]
    lay_out(study, counts)
    with pytest.raises(BonexrayError, match=expected) as refusal:
        read_cohort("b", cohort(study, labels=labels), development, CLASSES, AUDIT, COMPUTE)
    assert "\n" not in str(refusal.value)


def test_the_stage_refuses_images_that_git_would_commit(study: Study) -> None:
    lay_out(study, {"normal": 2, "osteoporosis": 2})
    study.change({"external": {"b": {"root": "other"}}, "cohorts": {"b": ["other"]}})
    (study.folder / ".dvc").mkdir()
    stage = runpy.run_path(str(REPOSITORY / "stages/external.py"))
    with chdir(study.folder):
        subprocess.run(["git", "init", "-q"], check=True)
        with pytest.raises(
            BonexrayError, match="received other/, which Git neither tracks nor ignores; run `dvc add oth"
        ):
            stage["main"](load(stage["Settings"]), "b")


def test_a_missing_folder_has_the_name_of_the_cohorts_setting(
    study: Study, development: tuple[Path, pd.DataFrame]
) -> None:
    with pytest.raises(BonexrayError, match=r"external\.b\.root: .*no such folder.*set external\.b\.root"):
        read_cohort("b", cohort(study), development, CLASSES, AUDIT, COMPUTE)


CHECKED = {
    "a missing folder": ("b", "nowhere", "external.b.root"),
    "labels of no class": ("b", "other", "external.b: expected images of"),
    "a name that is no file name": ("a/b", "good", "external: expected a name of letters"),
}


@pytest.mark.parametrize("case", CHECKED)
def test_check_names_what_is_wrong_with_a_cohort(case: str, study: Study) -> None:
    name, root, expected = CHECKED[case]
    lay_out(study, {"a": 2, "b": 2})
    for label in CLASSES:
        study.image(f"good/{label}/0.png", seed=77)
    study.change({"external": {name: {"root": root}}, "cohorts": {name: [root]}})
    done = study.check()
    assert done.returncode == 1 and expected in done.stderr and "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_copies_of_the_development_cohort_and_bad_files_are_left_out_with_the_reason(
    study: Study, development: tuple[Path, pd.DataFrame]
) -> None:
    lay_out(study, {"normal": 3, "osteoporosis": 3})
    copied = (development[0] / "normal/1.png").read_bytes()
    study.write("other/normal/copy.png", copied)
    study.write("other/normal/bad.png", b"no image")
    result = read_cohort("b", cohort(study), development, CLASSES, AUDIT, COMPUTE)
    reasons = dict(zip(result.left_out["path"], result.left_out["reason"], strict=True))
    assert reasons["normal/copy.png"] == COPY and set(reasons) == {"normal/copy.png", "normal/bad.png"}
    assert len(result.images) == 6
    with pytest.raises(BonexrayError, match=r"external\.b: .*received 1, such as normal/copy\.png"):
        read_cohort("b", cohort(study, copies="refuse"), development, CLASSES, AUDIT, COMPUTE)


def test_an_image_under_two_labels_is_left_out_with_the_reason(
    study: Study, development: tuple[Path, pd.DataFrame]
) -> None:
    lay_out(study, {"normal": 3, "osteoporosis": 3})
    study.write("other/osteoporosis/again.png", (study.folder / "other/normal/0.png").read_bytes())
    result = read_cohort("b", cohort(study), development, CLASSES, AUDIT, COMPUTE)
    assert sorted(result.left_out["path"]) == ["normal/0.png", "osteoporosis/again.png"]
    assert result.left_out["reason"].str.startswith(SAME).all() and len(result.images) == 5


@pytest.mark.parametrize("key", ["classes", "split_column", "reference", "simulated", "inputs", "name"])
def test_keys_of_the_studys_own_dataset_are_refused(key: str) -> None:
    values = {"classes": ["a", "b"], "simulated": {"cohort": "a"}, "inputs": ["a"]}
    with pytest.raises(ValueError, match=f"no {key}"):
        ExternalCohort(root="a", **{key: values.get(key, "a")})


def test_settings_are_the_same_after_they_were_written_in_full() -> None:
    settings = ExternalCohort(root="a", labels={"kl0": "normal"})
    assert ExternalCohort(**settings.model_dump()) == settings


# The answers


def test_every_model_answers_as_in_its_training(trained_study: Path) -> None:
    with chdir(trained_study):
        classes, images = read_classes(), ArrayFile(IMAGES)
        answers = dict(answers_of(["mobilenet_v2", "compact_cnn"], images))
        for name, probabilities in answers.items():
            _, recorded = read_predictions(model_folder(name) / PREDICTIONS, classes)
            assert probabilities == pytest.approx(recorded, abs=2e-5), name


def test_a_baseline_answers_as_in_its_training(trained_study: Path, tmp_path: Path) -> None:
    import shutil

    from conftest import YAML_FILE

    from bonexray.study import load_settings

    shutil.copytree(trained_study / "data", tmp_path / "data")
    params = YAML_FILE.load(trained_study / "params.yaml")
    YAML_FILE.dump(params, tmp_path / "params.yaml")
    with chdir(tmp_path):
        runpy.run_path(str(REPOSITORY / "stages/train.py"))["main"](load_settings(), "texture")
        ((name, probabilities),) = answers_of(["texture"], ArrayFile(IMAGES))
        _, recorded = read_predictions(model_folder(name) / PREDICTIONS, read_classes())
        assert probabilities == pytest.approx(recorded, abs=1e-7)
        assert set(read_json(model_folder(name) / REGRESSION)) == {"mean", "scale", "coefficients", "intercept"}
        assert len(read_manifest()) == len(probabilities)


# The scores


def answers(labels: np.ndarray, skill: float, seed: int) -> np.ndarray:
    """Return probabilities of two classes that are right more often with more skill."""
    rng = np.random.default_rng(seed)
    score = skill * (2 * labels - 1) + rng.normal(size=len(labels))
    positive = 1 / (1 + np.exp(-2 * score))
    return np.stack([1 - positive, positive], axis=1)


def development_rows(seed: int = 1) -> tuple[pd.DataFrame, np.ndarray]:
    labels = (np.arange(400) % 5 < 2).astype(int)  # classes of unequal size
    rows = pd.DataFrame(
        {
            "repeat": FIRST.repeat,
            "fold": FIRST.fold,
            "id": [f"{i:03d}" for i in range(400)],
            "path": "",
            "group": [f"p{i}" for i in range(400)],
            "split": ["train"] * 200 + ["val"] * 80 + ["test"] * 120,
            "label": np.array(CLASSES)[labels],
            "predicted": "",
        }
    )
    return rows, answers(labels, 1.0, seed)


def images_of(count: int, positive: float = 0.5) -> tuple[pd.DataFrame, np.ndarray]:
    labels = (np.arange(count) < positive * count).astype(int)
    table = {"id": [f"x{i}" for i in range(count)], "path": "", "label": np.array(CLASSES)[labels]}
    return pd.DataFrame({**table, "group": [f"q{i}" for i in range(count)]}), labels


def scored(skill: float, *, positive: float = 0.5, learned: Learned = "train", **options: object) -> dict[str, object]:
    scoring = Scoring(CLASSES, Evaluate(resamples=400, **options), False, learned, 0.3)
    images, labels = images_of(200, positive)
    return scoring.scores(*development_rows(), images, answers(labels, skill, 2))


@pytest.mark.parametrize("learned", ["train", "uniform"])
def test_the_internal_score_is_the_studys_own(learned: Learned) -> None:
    rows, own = development_rows()
    expected = evaluate(rows, own, CLASSES, Evaluate(resamples=400), False, learned).scores
    scores = scored(1.0, learned=learned)
    assert scores["temperature"] == expected["temperature"]
    for name in ("balanced_accuracy", "roc_auc", "log_loss"):
        assert scores[f"internal_{name}"] == pytest.approx(expected[name])
        assert scores[f"drop_{name}"] == pytest.approx(expected[name] - scores[name])
    assert scores["n"] == 200


def test_temperature_prior_and_threshold_come_from_the_development_cohort() -> None:
    rows, own = development_rows()
    options = Evaluate(resamples=400, sensitivity=0.9)
    expected, scores = (
        evaluate(rows, own, CLASSES, options, False, "train").scores,
        scored(0.2, positive=0.2, sensitivity=0.9),
    )
    assert scores["temperature"] == expected["temperature"]
    assert scores["operating_threshold"] == expected["operating_threshold"]
    assert scores["operating_sensitivity"] != expected["operating_sensitivity"]


def test_a_recalibration_is_scored_on_the_patients_that_it_did_not_learn_from() -> None:
    found = scored(1.0, positive=0.1)["recalibration"]
    assert (found["patients"], found["n"]) == (60, 140)
    assert found["after_log_loss"] < found["before_log_loss"]
    images, labels = images_of(20)
    few = Scoring(CLASSES, Evaluate(resamples=400), False, "train", 0.3)
    assert few.scores(*development_rows(), images, answers(labels, 1.0, 2))["recalibration"] == {}


# The words


class Shown:
    """What the sentences read of a study."""

    titles, headline, case = {"vgg16": "VGG16"}, {"model": "vgg16"}, "test image"

    def __init__(self, scores: dict[str, object]) -> None:
        self.external = {"hospital_b": {"models": {"vgg16": scores}}}


def test_a_planted_drop_is_stated_and_an_equal_cohort_is_not() -> None:
    worse, equal = Shown(scored(0.1)), Shown(scored(1.0))
    drop, sets = external_warnings(worse)
    assert "does not carry over to hospital_b" in drop
    assert sets.startswith("On hospital_b the prediction sets contain the true class for 0.") and "90 %" in sets
    assert "lower than on the internal test by" in chosen_sentences(worse, "hospital_b")[0]
    assert external_warnings(equal) == []
    assert "a drop is not shown" in chosen_sentences(equal, "hospital_b")[0]


@pytest.mark.parametrize(("skill", "kept"), [(1.0, True), (0.1, False)])
def test_the_coverage_of_the_sets_elsewhere_is_stated_over_all_and_by_class(skill: float, kept: bool) -> None:
    scores = scored(skill)
    sentence = chosen_sentences(Shown(scores), "hospital_b")[-1]
    parts = [scores["set_coverage"], *(scores["classes"][label]["set_coverage"] for label in CLASSES)]
    assert all(f"{part:.3f} (" in sentence for part in parts) and "of 200 patients, promised 90 %" in sentence
    assert (scores["set_coverage_high"] >= scores["set_promised"]) == kept
    bare = {name: value for name, value in scores.items() if not name.startswith("set_")}
    assert "sets" not in " ".join([*chosen_sentences(Shown(bare), "hospital_b"), *external_warnings(Shown(bare))])
