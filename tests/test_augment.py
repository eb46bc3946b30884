"""A view stays within its ranges, is drawn by its arguments alone, and changes nothing else."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cohorts import lay_out_images, trained, with_settings
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bonexray.augment.settings import Augment
from bonexray.augment.views import COPY, EPOCH, random_view, random_views

PX = 48
CENTRE = (PX - 1) / 2
VIEWS = 60
STILL = Augment(rotation_deg=0.0, shift=0.0, zoom=0.0, shear_deg=0.0, flip=False, seed=7)
USUAL = Augment(rotation_deg=10.0, shift=0.05, zoom=0.1, shear_deg=5.0, flip=True, seed=7)
NOISE = np.random.default_rng(7).random((PX, PX), dtype=np.float32)
DOWN, RIGHT = np.mgrid[:PX, :PX] - CENTRE


def blob(right: float, down: float, wide: float = 2.0, high: float = 2.0) -> np.ndarray:
    """A bright Gaussian at a distance from the centre, as wide and high as given, in px."""
    exponent = ((RIGHT - right) / wide) ** 2 + ((DOWN - down) / high) ** 2
    return np.exp(-exponent / 2).astype(np.float32)


def views_of(image: np.ndarray, settings: Augment = STILL, **ranges: object) -> list[np.ndarray]:
    """Views with only these ranges open."""
    opened = settings.model_copy(update=ranges)
    return [random_view(image, opened, EPOCH, number, 3) for number in range(VIEWS)]


def centroid(image: np.ndarray) -> np.ndarray:
    """(right, down) of the centre, in px."""
    return np.array([(image * RIGHT).sum(), (image * DOWN).sum()]) / image.sum()


def covariance(image: np.ndarray) -> np.ndarray:
    """Second moments (2, 2) about the centroid, in px²."""
    right, down = centroid(image)
    offsets = np.stack([(RIGHT - right).ravel(), (DOWN - down).ravel()])
    return (offsets * image.ravel()) @ offsets.T / image.sum()


def tilt_deg(image: np.ndarray) -> float:
    """Angle of an elongated picture's long axis from the horizontal, in (-90, 90]."""
    moments = covariance(image)
    return float(np.rad2deg(0.5 * np.arctan2(2 * moments[0, 1], moments[0, 0] - moments[1, 1])))


def require_used(values: list[float], reach: float, slack: float) -> None:
    """No value beyond plus and minus a range, and values from all over it."""
    assert max(map(abs, values)) <= reach + slack
    assert min(values) < -0.8 * reach
    assert max(values) > 0.8 * reach
    assert abs(np.mean(values)) < 0.3 * reach


# What a view depends on


def test_the_same_arguments_give_the_same_view_whatever_was_drawn_before() -> None:
    before = random_view(NOISE, USUAL, EPOCH, 2, 3)
    np.random.seed(1)  # noqa: NPY002 - the global generator must not matter
    random_view(NOISE, USUAL, EPOCH, 0, 0)
    assert random_view(NOISE, USUAL, EPOCH, 2, 3).tobytes() == before.tobytes()


OTHERS: dict[str, Callable[[], np.ndarray]] = {
    "epoch": lambda: random_view(NOISE, USUAL, EPOCH, 1, 3),
    "row": lambda: random_view(NOISE, USUAL, EPOCH, 2, 4),
    "seed": lambda: random_view(NOISE, USUAL.model_copy(update={"seed": 8}), EPOCH, 2, 3),
    "stream": lambda: random_view(NOISE, USUAL, COPY, 2, 3),
    "epoch and row changed over": lambda: random_view(NOISE, USUAL, EPOCH, 3, 2),
}


@pytest.mark.parametrize("what", OTHERS)
def test_another_argument_gives_another_view(what: str) -> None:
    assert np.abs(OTHERS[what]() - random_view(NOISE, USUAL, EPOCH, 2, 3)).max() > 0.1


def test_views_of_images_are_those_of_their_rows() -> None:
    images, rows = np.stack([NOISE, NOISE.T, NOISE[::-1]]), np.array([8, 2, 5])
    views = random_views(images, USUAL, COPY, 1, rows)
    assert (views.shape, views.dtype) == (images.shape, np.float32)
    for image, view, row in zip(images, views, rows, strict=True):
        assert np.array_equal(view, random_view(image, USUAL, COPY, 1, int(row)))


# What a view is


def test_without_any_range_a_view_is_the_image() -> None:
    for view in views_of(NOISE):
        assert np.abs(view - NOISE).max() < 1e-6


def test_flipping_gives_the_image_or_its_mirror_image_and_both_occur() -> None:
    mirrored = [np.abs(view - NOISE[:, ::-1]).max() < 1e-6 for view in views_of(NOISE, flip=True)]
    same = [np.abs(view - NOISE).max() < 1e-6 for view in views_of(NOISE, flip=True)]
    assert all(one != other for one, other in zip(mirrored, same, strict=True))
    assert 0.25 < np.mean(mirrored) < 0.75


def test_a_view_is_never_upside_down() -> None:
    top = views_of(blob(0, -12, wide=6), USUAL, rotation_deg=45.0)
    assert max(centroid(view)[1] for view in top) < 0


def test_a_shift_moves_a_picture_within_its_range_on_both_axes() -> None:
    start = blob(-6, 4)
    moves = np.array([centroid(view) - centroid(start) for view in views_of(start, shift=0.1)])
    require_used(list(moves[:, 0]), 0.1 * PX, 0.05)
    require_used(list(moves[:, 1]), 0.1 * PX, 0.05)
    assert abs(np.corrcoef(moves.T)[0, 1]) < 0.4, "right and down are drawn apart"


def test_a_rotation_turns_a_picture_about_the_centre_within_its_range() -> None:
    turned = views_of(blob(0, 0, wide=8), rotation_deg=20.0)
    require_used([tilt_deg(view) for view in turned], 20, 0.3)
    assert max(np.abs(centroid(view)).max() for view in turned) < 0.05
    assert max(abs(view.sum() / turned[0].sum() - 1) for view in turned) < 0.01


def test_a_zoom_scales_a_picture_about_the_centre_within_its_range_and_on_both_axes_alike() -> None:
    start = blob(0, 0, wide=5, high=3)
    zoomed = views_of(start, zoom=0.2)
    require_used([np.sqrt(view.sum() / start.sum()) - 1 for view in zoomed], 0.2, 0.005)
    for view in zoomed:
        wide, high = np.sqrt(np.diag(covariance(view)) / np.diag(covariance(start)))
        assert wide == pytest.approx(high, abs=0.03)
        assert np.abs(centroid(view)).max() < 0.05


def test_a_shear_leans_an_upright_picture_within_its_range_and_leaves_a_level_one() -> None:
    upright = views_of(blob(0, 0, wide=1.5, high=8), shear_deg=15.0)
    leaning = [covariance(view)[0, 1] / covariance(view)[1, 1] for view in upright]  # px to the right a px down
    require_used(list(np.rad2deg(np.arctan(leaning))), 15, 0.3)
    level = views_of(blob(0, 0, wide=8, high=1.5), shear_deg=15.0)
    assert max(abs(tilt_deg(view)) for view in level) < 1


def test_what_comes_from_outside_is_black() -> None:
    uncovered = []
    for view in views_of(np.ones((PX, PX), np.float32), shift=0.25):
        across, down = (int((view.max(axis=axis) == 0).sum()) for axis in (0, 1))
        assert view.sum() == pytest.approx((PX - across) * (PX - down), abs=2 * PX), "all the rest is white"
        uncovered += [across, down]
    assert 0.2 * PX < max(uncovered) <= 0.25 * PX


ALL_RANGES = st.builds(
    Augment,
    rotation_deg=st.floats(0, 180),
    shift=st.floats(0, 0.99),
    zoom=st.floats(0, 0.99),
    shear_deg=st.floats(0, 89),
    flip=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
IMAGES = hnp.arrays(np.float32, st.integers(2, 12).map(lambda px: (px, px)), elements=st.floats(0, 1, width=32))


@given(image=IMAGES, settings=ALL_RANGES, row=st.integers(0, 2**31))
def test_a_view_of_any_image_by_any_settings_is_an_image_in_range(
    image: np.ndarray, settings: Augment, row: int
) -> None:
    view = random_view(image, settings, EPOCH, 0, row)
    assert (view.shape, view.dtype) == (image.shape, np.float32)
    assert np.isfinite(view).all()
    assert view.min() >= 0
    assert view.max() <= image.max()


# Training


@pytest.mark.slow
def test_augmentation_changes_the_loss_of_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lay_out_images(16)
    losses = set()
    for number, augment in enumerate((USUAL, STILL, USUAL.model_copy(update={"seed": 8}))):
        history = trained("compact_cnn", "scratch", tmp_path / str(number), with_settings(epochs=1), augment)[1]
        losses.add(history["loss"].item())
    assert len(losses) == 3
