"""Copies of an image are found whatever was changed, and other images are not taken for copies."""

import io
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from bonexray.compute import Compute
from bonexray.phantom.simulation import simulate
from bonexray.split.candidates import find_candidates
from bonexray.split.keypoints import keypoints_of
from bonexray.split.lookalikes import Pair, compared, find_lookalikes
from bonexray.split.registration import PATCH_PX, agreeing, penalised
from bonexray.split.settings import Audit
from bonexray.split.thumbnails import THUMB_PX, body, local_contrast, thumbnail

LOCAL = Compute(backend="local", scheduler=None)
SETTINGS = Audit(neighbours=8, likeness=0.7, crossing="regroup")
PATIENTS, COPIED = 24, 8
WHOLE = THUMB_PX**2 / PATCH_PX


def reencoded(pixels: np.ndarray) -> np.ndarray:
    """Return pixels as a JPEG of poor quality stores them."""
    stream = io.BytesIO()
    Image.fromarray((np.clip(pixels, 0, 1) * 255).astype(np.uint8)).save(stream, format="JPEG", quality=60)
    return np.asarray(Image.open(stream), np.float32) / 255


def shrunk(pixels: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(pixels).resize((130, 130), Image.Resampling.LANCZOS))


def cropped(pixels: np.ndarray) -> np.ndarray:
    """Crop 15 % in both directions, mostly on one side."""
    height, width = pixels.shape
    return pixels[round(0.12 * height) : round(0.97 * height), round(0.03 * width) : round(0.88 * width)]


def turned(degrees: float) -> Callable[[np.ndarray], np.ndarray]:
    """Return a rotation within the frame, with black corners."""

    def turn(pixels: np.ndarray) -> np.ndarray:
        height, width = pixels.shape
        warp = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1.0)
        return cv2.warpAffine(pixels, warp, (width, height))

    return turn


def shifted(pixels: np.ndarray) -> np.ndarray:
    """Shift by 15 % to the right and 15 % down, with black behind."""
    height, width = pixels.shape
    return cv2.warpAffine(pixels, np.array([[1, 0, 0.15 * width], [0, 1, 0.15 * height]]), (width, height))


def noisy(pixels: np.ndarray) -> np.ndarray:
    return np.clip(pixels + 0.03 * np.random.default_rng(0).standard_normal(pixels.shape), 0, 1).astype(np.float32)


COPIES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "re-encoded": reencoded,
    "resized": shrunk,
    "cropped": cropped,
    "shifted": shifted,
    "padded to a wide frame": lambda pixels: np.pad(pixels, ((10, 10), (40, 40))),
    "flipped": lambda pixels: pixels[:, ::-1],
    "upside down": np.flipud,
    "turned right": lambda pixels: np.rot90(pixels, 1),
    "turned left and flipped": lambda pixels: np.rot90(pixels, 3)[:, ::-1],
    "turned by 40 degrees": turned(40),
    "turned by 163 degrees": turned(163),
    "darker": lambda pixels: pixels * 0.4,
    "of more contrast": lambda pixels: np.clip(pixels, 0, 1) ** 1.8,
    "noisy": noisy,
    "blurred": lambda pixels: gaussian_filter(pixels, 1.0),
    "stretched": lambda pixels: np.asarray(Image.fromarray(pixels).resize((200, 170))),
    "turned, cropped, flipped and darker": lambda pixels: cropped(turned(70)(pixels))[::-1] * 0.6,
    "turned, shifted, padded and noisy": lambda pixels: noisy(np.pad(shifted(turned(-25)(pixels)), 15)),
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


def groups(pairs: list[Pair], images: int) -> np.ndarray:
    edges = coo_array((np.ones(len(pairs)), ([p.one for p in pairs], [p.other for p in pairs])), shape=(images, images))
    return connected_components(edges, directed=False)[1]


def test_radiographs_of_different_patients_are_no_copies(cohort: list[np.ndarray]) -> None:
    assert found(cohort) == set()


@pytest.mark.parametrize("kind", COPIES)
def test_planted_copies_are_found_and_nothing_else(kind: str, cohort: list[np.ndarray]) -> None:
    planted = {(number, len(cohort) + number) for number in range(COPIED)}
    pairs = found([*cohort, *(COPIES[kind](cohort[number]) for number in range(COPIED))])
    assert len(pairs & planted) >= COPIED - 1
    assert pairs <= planted


def test_a_crowd_of_copies_is_held_together_and_apart_from_others(cohort: list[np.ndarray]) -> None:
    crowds = [[turned(3.6 * step)(cohort[number]) for step in range(100)] for number in (0, 1)]
    images = [*crowds[0], *crowds[1], *cohort[2:]]
    names = groups(find_lookalikes(thumbnails(images), SETTINGS, LOCAL), len(images))
    assert len(set(names[:100])) == len(set(names[100:200])) == 1
    assert len(set(names)) == 2 + len(cohort[2:])


def test_the_result_is_the_same_every_time(cohort: list[np.ndarray]) -> None:
    images = thumbnails([*cohort[:9], *(turned(31)(image) for image in cohort[:9])])
    assert find_lookalikes(images, SETTINGS, LOCAL) == find_lookalikes(images, SETTINGS, LOCAL)


def test_pairs_are_sorted_by_likeness(cohort: list[np.ndarray]) -> None:
    pairs = find_lookalikes(thumbnails([*cohort[:20], reencoded(cohort[3]), cohort[5]]), SETTINGS, LOCAL)
    assert [(pair.one, pair.other) for pair in pairs] == [(5, 21), (3, 20)]
    assert pairs[0].likeness == pytest.approx(1, abs=1e-3)
    assert pairs[0].likeness > pairs[1].likeness > 0.7


def test_without_neighbours_nothing_is_found(cohort: list[np.ndarray]) -> None:
    assert found([cohort[0], cohort[0]], SETTINGS.model_copy(update={"neighbours": 0})) == set()


@pytest.mark.parametrize("images", [0, 1])
def test_fewer_than_two_images_have_no_pairs(images: int) -> None:
    assert find_lookalikes(np.zeros((images, THUMB_PX, THUMB_PX), np.uint8), SETTINGS, LOCAL) == []


def test_images_without_a_body_are_no_copies() -> None:
    black = np.zeros((THUMB_PX, THUMB_PX), np.uint8)
    assert compared(black, black, keypoints_of(black), keypoints_of(black)) == 0
    assert find_lookalikes(np.stack([black] * 3), SETTINGS, LOCAL) == []


def test_a_thumbnail_keeps_the_shape_of_the_image() -> None:
    thumb = thumbnail(np.tile(np.linspace(0.5, 1, 40, dtype=np.float32), (80, 1)))
    assert not thumb[:, :40].any() and not thumb[:, 120:].any()
    assert thumb[:, 41:120].any(axis=0).all()


def test_the_keypoints_of_a_mirror_image_are_computed_without_it(cohort: list[np.ndarray]) -> None:
    thumb = thumbnail(cohort[0])
    computed, seen = keypoints_of(thumb).mirrored(), keypoints_of(np.ascontiguousarray(thumb[:, ::-1]))
    distance = np.abs(computed.places[:, None, :2] - seen.places[None, :, :2]).max(axis=2)
    near = distance.min(axis=1) < 1  # OpenCV's places are half a pixel off in its doubled image
    assert near.mean() > 0.7
    pairs = np.flatnonzero(near), distance.argmin(axis=1)[near]
    cosine = (computed.descriptors[pairs[0]].astype(float) * seen.descriptors[pairs[1]]).sum(axis=1) / 255**2
    assert np.median(cosine) > 0.95


@pytest.mark.parametrize("factor", [0.3, 0.7])
def test_local_contrast_depends_neither_on_exposure_nor_on_the_frame(factor: float, cohort: list[np.ndarray]) -> None:
    thumb = thumbnail(cohort[0])
    mask = np.zeros_like(thumb)
    mask[40:120, 40:120] = 1
    framed = np.where(mask, np.rint(factor * thumb), 0).astype(np.uint8)
    inside = np.zeros_like(thumb, bool)
    inside[46:114, 46:114] = True
    one, other = (local_contrast(image, mask, 2.0)[inside] for image in (thumb, framed))
    assert np.corrcoef(one, other)[0, 1] > 0.95


def test_the_body_is_without_background_and_edges() -> None:
    thumb = np.zeros((THUMB_PX, THUMB_PX), np.uint8)
    thumb[30:130, 50:110] = 200
    assert body(thumb)[40:120, 60:100].all()
    assert not body(thumb)[:30].any() and not body(thumb)[:, :50].any()


def test_matches_that_agree_are_told_from_others() -> None:
    rng = np.random.default_rng(0)
    start = np.column_stack([rng.uniform(20, 140, (30, 2)), rng.uniform(3, 9, 30), rng.uniform(0, 360, 30)])
    there = 0.8 * np.exp(0.7j) * (start[:, 0] + 1j * start[:, 1]) + (30 - 10j)
    end = np.column_stack([there.real, there.imag, 0.8 * start[:, 2], start[:, 3] + np.rad2deg(0.7)])
    end[20:] = np.column_stack([rng.uniform(0, 160, (10, 2)), rng.uniform(3, 9, 10), rng.uniform(0, 360, 10)])
    assert agreeing(start, end)[:20].all()
    assert agreeing(start, end)[20:].sum() <= 1


def test_each_image_has_few_candidates_and_not_itself(cohort: list[np.ndarray]) -> None:
    near = find_candidates([keypoints_of(thumb) for thumb in thumbnails(cohort)], 3)
    assert len(near) == len(cohort)
    assert all(len(others) <= 3 and row not in others for row, others in enumerate(near))


def test_the_same_correlation_is_a_copy_in_a_wide_limb_but_not_in_a_narrow_one() -> None:
    assert penalised(0.78, 0.06 * WHOLE, WHOLE) < 0.7 < penalised(0.78, 0.7 * WHOLE, WHOLE)


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.9, 1.0])
def test_the_correlation_of_a_whole_image_is_not_reduced(correlation: float) -> None:
    assert penalised(correlation, WHOLE, WHOLE) == pytest.approx(correlation, abs=1e-6)
    assert penalised(correlation, 20, WHOLE) < penalised(correlation, 60, WHOLE) <= correlation
