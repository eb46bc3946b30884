"""The simulated sites and the label noise: each property changes what it says, and nothing else."""

import dataclasses
from collections import Counter

import numpy as np
import pytest

from bonexray.phantom.diagnosis import CLASSES, draw_t_score, stated_label, who_label
from bonexray.phantom.simulation import SimulatedRadiograph, simulate
from bonexray.phantom.sites import SITES, Site

PX, PHOTONS = 64, 400.0


def cohort(patients: int = 4, **options: object) -> list[SimulatedRadiograph]:
    return list(simulate(patients, PX, PHOTONS, 0.0, 7, **options))


def signals(image: SimulatedRadiograph, site: Site) -> tuple[np.ndarray, np.ndarray]:
    """Return the clean and noisy signal where the display clips neither."""
    white, black = site.window
    inside = (np.minimum(image.clean, image.noisy) > 0.02) & (np.maximum(image.clean, image.noisy) < 0.98)
    clean, noisy = ((black - pixels * (black - white)) ** (1 / site.exponent) for pixels in (image.clean, image.noisy))
    return clean[inside], noisy[inside]


def photons(images: list[SimulatedRadiograph], site: Site) -> float:
    """Return the mean count of the open beam, from the variance of photon noise: a share n of it has variance n."""
    both = [np.concatenate(parts) for parts in zip(*(signals(image, site) for image in images), strict=True)]
    return float(both[0].mean() / np.mean((both[0] - both[1]) ** 2))


def brightness(images: list[SimulatedRadiograph], site: Site) -> float:
    """Return the mean signal."""
    return float(np.mean([signals(image, site)[0].mean() for image in images]))


def contrast(images: list[SimulatedRadiograph], site: Site) -> float:
    """Return the variation of the signal relative to its mean."""
    return float(np.mean([(clean := signals(image, site)[0]).std() / clean.mean() for image in images]))


def detail(images: list[SimulatedRadiograph], site: Site) -> float:
    """Return the differences of neighbouring pixels, relative to the contrast of the image."""
    return float(np.mean([np.abs(np.diff(image.clean)).mean() / image.clean.std() for image in images]))


def tone(images: list[SimulatedRadiograph], site: Site) -> float:
    """Return the mean displayed pixel."""
    return float(np.mean([image.clean.mean() for image in images]))


@pytest.mark.parametrize(
    ("attribute", "measure", "smallest", "largest"),
    [
        ("dose", photons, 0.4, 0.6),
        ("blur_px", detail, 0.5, 0.95),
        ("scatter", contrast, 0.6, 0.95),
        ("scatter", brightness, 1.1, 1.4),
        ("hardness", brightness, 1.05, 1.4),
        ("exponent", tone, 0.2, 0.8),
        ("window", tone, 1.1, 2.5),
    ],
)
def test_a_property_of_a_site_changes_what_it_says(
    attribute: str, measure, smallest: float, largest: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    a = SITES["a"]
    changed = dataclasses.replace(a, **{attribute: getattr(SITES["b"], attribute)})
    before = measure(cohort(), a)
    monkeypatch.setitem(SITES, "a", changed)
    assert smallest < measure(cohort(), changed) / before < largest


def test_the_sites_differ_in_dose_and_sharpness_as_the_table_says() -> None:
    found = {name: cohort(12, site=name) for name in SITES}
    counts = {name: photons(found[name], site) for name, site in SITES.items()}
    assert counts["a"] == pytest.approx(PHOTONS, rel=0.1)
    assert counts["b"] == pytest.approx(PHOTONS * SITES["b"].dose, rel=0.1)
    assert detail(found["b"], SITES["b"]) < 0.9 * detail(found["a"], SITES["a"])


@pytest.mark.parametrize("name", SITES)
def test_the_display_shows_the_limb_of_every_site(name: str) -> None:
    pixels = np.stack([image.clean for image in cohort(8, site=name)])
    assert np.mean((pixels == 0) | (pixels == 1)) < 0.05
    assert np.quantile(pixels, 0.99) - np.quantile(pixels, 0.01) > 0.5


def test_no_patient_is_in_two_sites(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SITES, "b", dataclasses.replace(SITES["b"], shares=SITES["a"].shares))
    a, b = ({image.patient: image.t_score for image in cohort(6, site=name)} for name in "ab")
    assert not set(a) & set(b) and not set(a.values()) & set(b.values())


@pytest.mark.parametrize("name", SITES)
def test_patients_have_the_shares_of_their_site(name: str) -> None:
    rng, shares = np.random.default_rng(7), SITES[name].shares
    drawn = Counter(who_label(draw_t_score(shares, rng)) for _ in range(4000))
    assert sum(shares) == pytest.approx(1)
    assert [drawn[label] / 4000 for label in reversed(CLASSES)] == pytest.approx(shares, abs=0.03)


@pytest.mark.parametrize("noise", [0.0, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("label", CLASSES)
def test_label_noise_has_its_rate_and_states_a_neighbouring_grade(label: str, noise: float) -> None:
    rng, grade = np.random.default_rng(7), CLASSES.index(label)
    stated = Counter(stated_label(label, noise, rng) for _ in range(4000))
    wrong = {name: count / 4000 for name, count in stated.items() if name != label}
    neighbours = CLASSES[max(grade - 1, 0) : grade] + CLASSES[grade + 1 : grade + 2]
    assert sum(wrong.values()) == pytest.approx(noise, abs=0.03)
    assert set(wrong) == (set(neighbours) if noise else set())
    assert list(wrong.values()) == pytest.approx([noise / len(neighbours)] * len(wrong), abs=0.03)


def test_more_label_noise_changes_the_same_patients_and_more_and_no_image() -> None:
    cohorts = {noise: cohort(16, label_noise=noise) for noise in (0.0, 0.3, 0.8)}
    wrong = {noise: {i.patient for i in images if i.label != i.true_label} for noise, images in cohorts.items()}
    assert set() == wrong[0.0] < wrong[0.3] < wrong[0.8]
    for images in cohorts.values():
        for image, plain in zip(images, cohorts[0.0], strict=True):
            assert image.true_label == plain.label == who_label(image.t_score)
            assert np.array_equal(image.noisy, plain.noisy)
    by_patient = {(image.patient, image.label) for image in cohorts[0.3]}
    assert len(by_patient) == 16  # both views of a patient have one label
