"""The simulated cohort: reproducible, within its ranges, and about bone."""

import math

import numpy as np
import pytest

from bonexray.phantom.diagnosis import CLASSES, who_label
from bonexray.phantom.simulation import SimulatedRadiograph, simulate

PX = 32


def cohort(
    patients: int = 4, photons: float = 120.0, readout_sigma: float = 2.0, seed: int = 7
) -> list[SimulatedRadiograph]:
    return list(simulate(patients, PX, photons, readout_sigma, seed))


@pytest.fixture(scope="module")
def thirty() -> list[SimulatedRadiograph]:
    return cohort(30)


def same(one: SimulatedRadiograph, other: SimulatedRadiograph) -> bool:
    facts = ("patient", "view", "label", "true_label", "t_score", "volume_fraction", "cortical_mm")
    return (
        all(getattr(one, fact) == getattr(other, fact) for fact in facts)
        and np.array_equal(one.clean, other.clean)
        and np.array_equal(one.noisy, other.noisy)
    )


def psnr(image: SimulatedRadiograph) -> float:
    return -10 * math.log10(float(np.mean((image.clean - image.noisy) ** 2)))


def test_the_same_seed_gives_the_same_images() -> None:
    assert all(same(a, b) for a, b in zip(cohort(), cohort(), strict=True))


def test_another_seed_gives_other_patients_and_images() -> None:
    one, other = cohort(seed=1)[0], cohort(seed=2)[0]
    assert one.t_score != other.t_score
    assert not np.array_equal(one.clean, other.clean)


def test_more_patients_leave_the_first_ones_unchanged(thirty: list[SimulatedRadiograph]) -> None:
    few = cohort(4)
    assert all(same(a, b) for a, b in zip(few, thirty[: len(few)], strict=True))
    assert thirty[len(few)].patient == "p0004"


def test_the_image_size_does_not_change_the_patient() -> None:
    small, large = (next(simulate(1, px, 120.0, 2.0, 7)) for px in (32, 50))
    assert large.clean.shape == (50, 50)
    assert small.t_score == large.t_score
    assert small.cortical_mm == large.cortical_mm


def test_images_are_square_float32_within_0_and_1(thirty: list[SimulatedRadiograph]) -> None:
    for image in thirty:
        for pixels in (image.clean, image.noisy):
            assert pixels.shape == (PX, PX)
            assert pixels.dtype == np.float32
            assert 0 <= pixels.min() < pixels.max() <= 1


@pytest.mark.parametrize(
    ("t_score", "label"),
    [
        (1.0, "normal"),
        (-1.0, "normal"),
        (math.nextafter(-1.0, -2), "osteopenia"),
        (math.nextafter(-2.5, 0), "osteopenia"),
        (-2.5, "osteoporosis"),
        (-4.0, "osteoporosis"),
    ],
)
def test_labels_follow_the_criteria_of_the_who(t_score: float, label: str) -> None:
    assert who_label(t_score) == label


@pytest.mark.parametrize("t_score", [math.nan, math.inf])
def test_a_t_score_that_is_not_finite_is_refused(t_score: float) -> None:
    with pytest.raises(ValueError, match=r"^t_score: expected a finite number\. Received: "):
        who_label(t_score)


def test_a_cohort_of_thirty_has_every_class(thirty: list[SimulatedRadiograph]) -> None:
    assert {image.label for image in thirty} == set(CLASSES)
    assert all(image.label == who_label(image.t_score) for image in thirty)


def test_a_patient_has_one_or_two_views_of_the_same_bone(thirty: list[SimulatedRadiograph]) -> None:
    views: dict[str, list[SimulatedRadiograph]] = {}
    for image in thirty:
        views.setdefault(image.patient, []).append(image)
    assert len(views) == 30
    assert {len(images) for images in views.values()} == {1, 2}
    for images in views.values():
        assert [image.view for image in images] == list(range(len(images)))
        assert len({(i.label, i.t_score, i.volume_fraction, i.cortical_mm) for i in images}) == 1
    first, second = next(images for images in views.values() if len(images) == 2)
    assert not np.array_equal(first.clean, second.clean)


def test_fewer_photons_make_a_noisier_image_of_the_same_bone() -> None:
    for bright, dim in zip(cohort(photons=1000.0), cohort(photons=100.0), strict=True):
        assert np.array_equal(bright.clean, dim.clean)
        assert not np.array_equal(bright.clean, bright.noisy)
        assert psnr(dim) < psnr(bright) - 5


def test_readout_noise_adds_to_photon_noise() -> None:
    quiet, loud = (cohort(1, readout_sigma=sigma)[0] for sigma in (0.0, 10.0))
    assert psnr(loud) < psnr(quiet)


@pytest.mark.parametrize("fact", ["volume_fraction", "cortical_mm"])
def test_bone_is_lost_as_the_t_score_falls(thirty: list[SimulatedRadiograph], fact: str) -> None:
    t_scores = [image.t_score for image in thirty]
    values = [getattr(image, fact) for image in thirty]
    assert 0.8 < np.corrcoef(t_scores, values)[0, 1] < 1


def test_lost_bone_shows_in_the_image(thirty: list[SimulatedRadiograph]) -> None:
    def edge_strength(label: str) -> float:
        detail = [np.diff(image.clean).std() for image in thirty if image.label == label]
        return float(np.mean(detail))

    assert edge_strength("normal") > edge_strength("osteoporosis")


@pytest.mark.parametrize(
    ("argument", "value", "expected"),
    [
        ("patients", 0, "at least 1"),
        ("img_px", 31, "at least 32"),
        ("photons", 0.0, "a finite number above 0"),
        ("photons", math.nan, "a finite number above 0"),
        ("photons", math.inf, "a finite number above 0"),
        ("readout_sigma", -0.1, "a finite number >= 0"),
        ("readout_sigma", math.nan, "a finite number >= 0"),
        ("seed", -1, "at least 0"),
        ("site", "c", "one of a, b"),
        ("label_noise", 1.1, "from 0 to 1"),
        ("label_noise", math.nan, "from 0 to 1"),
    ],
)
def test_an_argument_outside_its_range_is_named(argument: str, value: float, expected: str) -> None:
    good = {"patients": 1, "img_px": PX, "photons": 120.0, "readout_sigma": 2.0, "seed": 0}
    with pytest.raises(ValueError) as error:
        simulate(**{**good, argument: value})
    assert str(error.value) == f"{argument}: expected {expected}. Received: {value!r}"
