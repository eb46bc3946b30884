"""Copies of an image are found whatever was changed, and other images are not taken for copies."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter
from skimage.transform import AffineTransform, warp

from bonexray.compute import Compute
from bonexray.phantom.simulation import simulate
from bonexray.split.candidates import HASH_PX, find_candidates, perceptual_hashes
from bonexray.split.lookalikes import PATCH_PX, _penalised, find_lookalikes, likeness_of
from bonexray.split.settings import Audit
from bonexray.split.thumbnails import ORIENTATIONS, VIEWS, oriented, thumbnail, viewed

LOCAL = Compute(backend="local", scheduler=None)
SETTINGS = Audit(neighbours=8, likeness=0.7, crossing="regroup")
PATIENTS = 60
WHOLE = 128 * 128 / PATCH_PX


def reencoded(pixels: np.ndarray) -> np.ndarray:
    """Return pixels as a JPEG of poor quality stores them."""
    stream = io.BytesIO()
    Image.fromarray((pixels * 255).astype(np.uint8)).save(stream, format="JPEG", quality=60)
    return np.asarray(Image.open(stream), np.float32) / 255


def shrunk(pixels: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(pixels).resize((130, 130), Image.Resampling.LANCZOS))


def cropped(pixels: np.ndarray) -> np.ndarray:
    """Crop 3 % on one side and 4 % on another."""
    height, width = pixels.shape
    return pixels[round(0.03 * height) :, : width - round(0.04 * width)]


def turned_a_little(pixels: np.ndarray) -> np.ndarray:
    """Rotate by 12 degrees, with black corners."""
    side = pixels.shape[0]
    there = AffineTransform(translation=(-side / 2, -side / 2))
    back = AffineTransform(translation=(side / 2, side / 2))
    return warp(pixels, (there + AffineTransform(rotation=np.deg2rad(12)) + back).inverse, order=1).astype(np.float32)


COPIES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "re-encoded": reencoded,
    "resized": shrunk,
    "cropped": cropped,
    "flipped": lambda pixels: pixels[:, ::-1],
    "upside down": np.flipud,
    "turned right": lambda pixels: np.rot90(pixels, 1),
    "turned round": lambda pixels: np.rot90(pixels, 2),
    "turned left and flipped": lambda pixels: np.rot90(pixels, 3)[:, ::-1],
    "turned a little": turned_a_little,
    "darker": lambda pixels: pixels * 0.4,
    "of more contrast": lambda pixels: np.clip(pixels, 0, 1) ** 1.8,
    "stretched": lambda pixels: np.asarray(Image.fromarray(pixels).resize((200, 170))),
}


@pytest.fixture(scope="module")
def cohort() -> list[np.ndarray]:
    """Return one radiograph for each patient."""
    first = {}
    for radiograph in simulate(PATIENTS, 160, 400.0, 2.0, 7):
        first.setdefault(radiograph.patient, radiograph.noisy)
    return list(first.values())


def thumbnails(images: list[np.ndarray]) -> np.ndarray:
    return np.stack([thumbnail(np.ascontiguousarray(image, np.float32)) for image in images])


def found(images: list[np.ndarray], settings: Audit = SETTINGS) -> set[tuple[int, int]]:
    return {(pair.one, pair.other) for pair in find_lookalikes(thumbnails(images), settings, LOCAL)}


def test_radiographs_of_different_patients_are_no_copies(cohort: list[np.ndarray]) -> None:
    assert found(cohort) == set()


@pytest.mark.parametrize("kind", COPIES)
def test_at_least_95_percent_of_planted_copies_are_found_and_nothing_else(kind: str, cohort: list[np.ndarray]) -> None:
    planted = {(number, len(cohort) + number) for number in range(20)}
    pairs = found([*cohort, *(COPIES[kind](cohort[number]) for number in range(20))])
    assert len(pairs & planted) >= 19
    assert pairs <= planted


def test_pairs_are_sorted_by_likeness(cohort: list[np.ndarray]) -> None:
    pairs = find_lookalikes(thumbnails([*cohort[:20], reencoded(cohort[3]), cohort[5]]), SETTINGS, LOCAL)
    assert [(pair.one, pair.other) for pair in pairs] == [(5, 21), (3, 20)]
    assert pairs[0].likeness == pytest.approx(1, abs=1e-3)
    assert pairs[0].likeness > pairs[1].likeness > 0.7


def test_without_neighbours_nothing_is_found(cohort: list[np.ndarray]) -> None:
    assert found([cohort[0], cohort[0]], SETTINGS.model_copy(update={"neighbours": 0})) == set()


@pytest.mark.parametrize("images", [0, 1])
def test_fewer_than_two_images_have_no_pairs(images: int, cohort: list[np.ndarray]) -> None:
    assert find_lookalikes(np.zeros((images, 128, 128), np.uint8), SETTINGS, LOCAL) == []


def test_black_images_are_no_copies() -> None:
    black = np.zeros((128, 128), np.uint8)
    assert likeness_of(black, black, 4) == 0


def test_the_orientations_are_the_eight_of_a_square() -> None:
    picture = np.arange(9).reshape(1, 3, 3)
    assert len({oriented(picture, number).tobytes() for number in range(ORIENTATIONS)}) == 8


def test_a_hash_does_not_depend_on_brightness() -> None:
    small = np.random.default_rng(0).random((5, 32, 32)).astype(np.float32)
    assert np.array_equal(perceptual_hashes(small), perceptual_hashes(0.2 + 0.5 * small))


def test_each_image_has_few_candidates(cohort: list[np.ndarray]) -> None:
    pairs = find_candidates(thumbnails(cohort), 3)
    assert len(pairs) <= 3 * len(cohort)
    assert len({(min(a, b), max(a, b)) for a, b, _ in pairs}) == len(pairs)


def test_the_same_correlation_is_a_copy_in_a_wide_limb_but_not_in_a_narrow_one() -> None:
    assert _penalised(0.78, 0.17 * WHOLE, WHOLE) < 0.7 < _penalised(0.78, 0.7 * WHOLE, WHOLE)


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.9, 1.0])
def test_the_correlation_of_a_whole_image_is_not_reduced(correlation: float) -> None:
    assert _penalised(correlation, WHOLE, WHOLE) == pytest.approx(correlation, abs=1e-6)
    assert _penalised(correlation, 20, WHOLE) < _penalised(correlation, 60, WHOLE) <= correlation


def test_a_cropped_copy_is_the_best_of_many_candidates_with_its_outline(cohort: list[np.ndarray]) -> None:
    rng, outline = np.random.default_rng(3), gaussian_filter(cohort[0], 5)
    crowd = [
        np.clip(outline * (1 + 0.2 * gaussian_filter(rng.standard_normal(outline.shape), 1)), 0, 1) for _ in range(40)
    ]
    pairs = find_candidates(thumbnails([*crowd, cropped(crowd[7])]), SETTINGS.neighbours)
    assert {7, 25} in [{one, other} for one, other, _ in pairs]
    assert len(pairs) < 26 * 25 / 2 / 2  # most of the crowd does not stand out


@pytest.mark.parametrize("view", range(0, len(VIEWS), 9))
def test_the_hash_of_a_view_is_computed_without_the_view(view: int) -> None:
    small = np.random.default_rng(view).random((20, HASH_PX, HASH_PX), np.float32)
    differing = perceptual_hashes(small, view) ^ perceptual_hashes(viewed(small, view))
    assert np.unpackbits(differing).sum() <= 2  # a frequency that is as strong as the median but for rounding
