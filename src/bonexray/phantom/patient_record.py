"""Age, sex and body mass index of a simulated patient, drawn for the T-score that the images show.

A T-score is normal around a mean that falls with age and rises with body mass index, with a standard deviation of 1. By
Bayes' theorem, each age, sex and index has a probability for a given T-score. So the record tells something of the bone,
and less than the image does.

References:
    Osteoporosis at the hip is found in 6.3 % of Swedish women from 50 to 54 and in 47.2 % from 80 to 84, and in 2.5 % and
    16.6 % of men (Kanis et al., Bone 27, 2000). These shares give the means at 52 and 82.
    One unit of body mass index adds 0.0082 g/cm² to the density of the femoral neck (Lloyd et al., Archives of
    Osteoporosis 9, 2014), whose standard deviation in young women is 0.12 g/cm² (Looker et al., Osteoporosis
    International 8, 1998).
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from bonexray.phantom.diagnosis import LIMITS

SEXES = ("female", "male")
WOMEN = 0.7  # share of the patients
AGES, BMIS = np.arange(40, 91), np.arange(16, 46)  # years; kg/m²
AGE, BMI = (65.0, 11.0), (27.0, 4.5)  # mean and standard deviation of the patients
EARLY, LATE, MENOPAUSE = 52, 82, 50  # years
OSTEOPOROSIS = {"female": (0.063, 0.472), "male": (0.025, 0.166)}  # shares at the ages `EARLY` and `LATE`
T_PER_BMI = 0.0082 / 0.12


@dataclass(frozen=True)
class PatientRecord:
    """What a hospital knows of a patient beside the images.

    Attributes:
        age: in years.
        sex: one of `SEXES`.
        bmi: body mass index in kg/m².
    """

    age: int
    sex: str
    bmi: float


def mean_t_score(age: np.ndarray, sex: str, bmi: np.ndarray) -> np.ndarray:
    """Return the mean T-score of people of this age, sex and body mass index.

    Women lose bone at the rate of men until the menopause and faster after it.

    Args:
        age: in years, any shape.
        sex: one of `SEXES`.
        bmi: in kg/m², a shape that can be broadcast with `age`.
    """
    early = LIMITS[1] - ndtri(OSTEOPOROSIS[sex][0])
    slopes = {name: np.subtract(*ndtri(shares)) / (LATE - EARLY) for name, shares in OSTEOPOROSIS.items()}
    later, sooner = np.maximum(age, MENOPAUSE) - EARLY, np.minimum(age, MENOPAUSE) - MENOPAUSE
    return early + slopes[sex] * later + slopes["male"] * sooner + T_PER_BMI * (bmi - BMI[0])


def draw_record(t_score: float, rng: np.random.Generator) -> PatientRecord:
    """Draw the record of a patient.

    Args:
        t_score: in standard deviations of young adults.
        rng: source of two numbers.
    """
    weights = _PRIOR * np.exp(-((t_score - _MEANS) ** 2) / 2)
    shares = weights.cumsum() / weights.sum()
    cell = min(int(np.searchsorted(shares, rng.random(), side="right")), weights.size - 1)
    sex, age, bmi = np.unravel_index(cell, weights.shape)
    return PatientRecord(int(AGES[age]), SEXES[sex], round(float(BMIS[bmi] + rng.random() - 0.5), 1))


def _bell(values: np.ndarray, mean: float, deviation: float) -> np.ndarray:
    return np.exp(-(((values - mean) / deviation) ** 2) / 2)


_MEANS = np.stack([mean_t_score(AGES[:, None], sex, BMIS[None]) for sex in SEXES])  # (sexes, ages, indices)
_PRIOR = np.array([WOMEN, 1 - WOMEN])[:, None, None] * _bell(AGES, *AGE)[None, :, None] * _bell(BMIS, *BMI)
