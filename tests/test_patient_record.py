"""Age, sex and body mass index of simulated patients: as published, weaker than the image, and apart from it."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.preprocessing import StandardScaler

from bonexray.phantom import simulation
from bonexray.phantom.diagnosis import draw_t_score, who_label
from bonexray.phantom.patient_record import AGES, BMIS, OSTEOPOROSIS, PatientRecord, draw_record, mean_t_score
from bonexray.phantom.simulation import simulate


@pytest.fixture(scope="module")
def cohort() -> tuple[np.ndarray, np.ndarray]:
    """T-score of 1500 patients, and their age, sex (1 for men) and body mass index."""
    rng = np.random.default_rng(0)
    scores = np.array([draw_t_score((1 / 3, 1 / 3, 1 / 3), rng) for _ in range(1500)])
    records = [draw_record(score, rng) for score in scores]
    return scores, np.array([(record.age, record.sex == "male", record.bmi) for record in records])


@pytest.mark.parametrize(("sex", "place", "age"), [(s, p, a) for s in OSTEOPOROSIS for p, a in enumerate((52, 82))])
def test_osteoporosis_is_as_frequent_as_published(sex: str, place: int, age: int) -> None:
    scores = np.random.default_rng(1).normal(mean_t_score(np.array(age), sex, np.array(27.0)), 1, 200_000)
    assert (scores <= -2.5).mean() == pytest.approx(OSTEOPOROSIS[sex][place], abs=0.003)


def test_density_falls_with_age_and_faster_in_women_after_the_menopause() -> None:
    lost = {sex: -np.diff(mean_t_score(AGES, sex, np.array(27.0))) for sex in OSTEOPOROSIS}
    assert (lost["male"] > 0).all() and lost["male"] == pytest.approx(lost["male"][0])
    assert lost["female"][AGES[:-1] < 50] == pytest.approx(lost["male"][0])
    assert (lost["female"][AGES[:-1] >= 50] > 1.3 * lost["male"][0]).all()


def test_the_record_follows_the_bone(cohort: tuple[np.ndarray, np.ndarray]) -> None:
    scores, records = cohort
    age, sex, bmi = (np.corrcoef(scores, values)[0, 1] for values in records.T)
    assert -0.6 < age < -0.2 and 0.1 < sex < 0.5 and 0.1 < bmi < 0.5
    assert records[:, 0].min() >= AGES[0] and records[:, 0].max() <= AGES[-1]
    assert records[:, 2].min() >= BMIS[0] - 0.5 and records[:, 2].max() <= BMIS[-1] + 0.5


def test_the_record_tells_something_of_the_class_but_not_much(cohort: tuple[np.ndarray, np.ndarray]) -> None:
    scores, records = cohort
    labels, model = [who_label(score) for score in scores], LogisticRegression(class_weight="balanced")
    reached = cross_val_score(model, StandardScaler().fit_transform(records), labels, scoring="balanced_accuracy")
    assert 0.45 < reached.mean() < 0.65


def test_the_record_changes_no_pixel(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = list(simulate(3, 32, 120.0, 2.0, 7, label_noise=0.5))

    def other(_score: float, rng: np.random.Generator) -> PatientRecord:
        return PatientRecord(40, "male", rng.random(5).sum())

    monkeypatch.setattr(simulation, "draw_record", other)
    for one, two in zip(drawn, simulate(3, 32, 120.0, 2.0, 7, label_noise=0.5), strict=True):
        assert one.record != two.record and (one.label, one.t_score) == (two.label, two.t_score)
        assert (one.noisy == two.noisy).all() and (one.clean == two.clean).all()


def test_views_of_a_patient_share_the_record() -> None:
    images = list(simulate(12, 32, 120.0, 2.0, 7))
    records = {(image.patient, image.record) for image in images}
    assert len(records) == 12 < len(images)
