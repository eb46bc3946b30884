"""Filters and their quality."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from bonexray.base.errors import BonexrayError
from bonexray.compute import Compute
from bonexray.denoise.bm3d_engines import ENGINES
from bonexray.denoise.denoising import denoise_images
from bonexray.denoise.filters import FILTERS, bm3d, estimated_sigma, filter_of, options_of, unfiltered
from bonexray.denoise.quality import added_noise_quality, phantom_quality, psnr_db, ssim
from bonexray.denoise.settings import Denoise
from bonexray.images.reading import bounded, read_image, write_png16
from bonexray.phantom.simulation import SimulatedRadiograph, simulate

LOCAL = Compute(backend="local", scheduler=None)


@pytest.fixture(autouse=True)
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Use a new store for each test."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "repository"))
    return tmp_path / "repository"


def denoise(**changes: object) -> Denoise:
    plain = {
        "method": "bm3d",
        "options": {},
        "sigma": None,
        "working_px": 32,
        "quality_images": 3,
        "quality_sigma": 0.1,
        "store_gb": 1.0,
        "seed": 7,
    }
    return Denoise.model_validate({**plain, **changes})


def random_image(seed: int, height: int, width: int) -> np.ndarray:
    return np.random.default_rng(seed).random((height, width)).astype(np.float32)


@pytest.fixture(scope="module")
def phantom() -> SimulatedRadiograph:
    return next(simulate(1, 64, 120.0, 2.0, 7))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """Write noisy/ and clean/ with four images; return their ids and paths."""
    root = tmp_path_factory.mktemp("cohort")
    images = {}
    for number, radiograph in zip(range(4), simulate(4, 48, 120.0, 2.0, 7), strict=False):
        for kind in ("noisy", "clean"):
            (root / kind).mkdir(exist_ok=True)
            write_png16(root / kind / f"{number}.png", getattr(radiograph, kind))
        images[f"id{9 - number}"] = f"{number}.png"
    return root, images


# The filters


def test_bm3d_improves_a_phantom_by_more_than_3_db(phantom: SimulatedRadiograph) -> None:
    smooth = bm3d(phantom.noisy, None)
    assert psnr_db(phantom.clean, smooth) > psnr_db(phantom.clean, phantom.noisy) + 3
    assert ssim(phantom.clean, smooth) > ssim(phantom.clean, phantom.noisy)


def test_bm3d_uses_the_given_sigma(phantom: SimulatedRadiograph) -> None:
    little, much = (bm3d(phantom.noisy, sigma) for sigma in (0.001, 0.3))
    assert np.abs(little - phantom.noisy).mean() < 0.005 < np.abs(much - phantom.noisy).mean()


def test_bm3d_does_not_change_an_image_without_noise() -> None:
    square = np.zeros((32, 32), np.float32)
    square[10:20, 10:20] = 1
    np.testing.assert_allclose(bm3d(square, None), square, rtol=0, atol=1e-3)


@pytest.mark.parametrize("method", FILTERS)
def test_a_filter_keeps_shape_and_range_and_gives_the_same_bytes_again(
    method: str, phantom: SimulatedRadiograph
) -> None:
    pixels = phantom.noisy[:32, :40]
    before = pixels.copy()
    one, other = (FILTERS[method](pixels, 0.08) for _ in range(2))
    assert one.shape == pixels.shape
    assert one.dtype == np.float32
    assert 0 <= one.min() < one.max() <= 1
    assert one.tobytes() == other.tobytes()
    np.testing.assert_array_equal(pixels, before)


@pytest.mark.parametrize(
    ("method", "gain_db"),
    [
        ("bm3d", 5),
        ("nlm", 4),
        ("wavelet", 2),
        ("tv", 4),
        ("median", 3),
        ("bilateral", 3),
    ],
)
def test_a_denoiser_improves_a_phantom(method: str, gain_db: float, phantom: SimulatedRadiograph) -> None:
    after = filter_of(denoise(method=method))(phantom.noisy)
    assert psnr_db(phantom.clean, after) > psnr_db(phantom.clean, phantom.noisy) + gain_db


def test_a_median_removes_a_lone_pixel_and_its_window_is_an_option() -> None:
    pixels = np.zeros((16, 16), np.float32)
    pixels[8, 8], pixels[2:4, 2:4] = 1, 1
    assert filter_of(denoise(method="median"))(pixels)[8, 8] == 0
    assert filter_of(denoise(method="median", options={"window_px": 1}))(pixels).sum() == pixels.sum()


def test_a_bilateral_filter_keeps_an_edge_that_is_higher_than_its_range() -> None:
    edge = np.repeat([[0.0] * 16 + [1.0] * 16], 32, axis=0).astype(np.float32)
    sharp, soft = (
        filter_of(denoise(method="bilateral", options={"range_sigma": sigma}))(edge) for sigma in (0.1, 10.0)
    )
    assert sharp[16, 15] < 0.01 < 0.3 < soft[16, 15]


def test_clahe_raises_local_contrast_up_to_its_clip(phantom: SimulatedRadiograph) -> None:
    def contrast(clip: float) -> float:
        """Mean standard deviation of blocks of 8 x 8 pixels."""
        after = filter_of(denoise(method="clahe", options={"clip": clip, "tiles": 2}))(phantom.clean)
        return float(after.reshape(8, 8, 8, 8).std(axis=(1, 3)).mean())

    assert contrast(1.0) < contrast(2.0) < contrast(8.0)


def test_every_profile_of_bm3d_denoises(phantom: SimulatedRadiograph) -> None:
    found = {
        profile: psnr_db(phantom.clean[:48, :48], bm3d(phantom.noisy[:48, :48], None, profile=profile))
        for profile in ENGINES["bm3d"].profiles
    }
    assert min(found.values()) > psnr_db(phantom.clean[:48, :48], phantom.noisy[:48, :48]) + 3
    assert len(set(found.values())) == 4


def test_none_does_not_change_the_image(phantom: SimulatedRadiograph) -> None:
    np.testing.assert_array_equal(unfiltered(phantom.noisy, 0.1), phantom.noisy)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "mean"}, r"denoise\.method: expected one of none, bm3d, .*, tv, received 'mean'"),
        (
            {"method": "median", "options": {"window": 5}},
            r"denoise\.options\.window, median: expected window_px, received an unknown option",
        ),
        ({"method": "none", "options": {"window_px": 5}}, r"window_px, none: expected no option"),
        (
            {"method": "median", "options": {"window_px": 2.5}},
            r"window_px, median: expected a valid integer, received 2\.5",
        ),
        ({"method": "tv", "options": {"weight": 0}}, r"weight, tv: expected greater than 0, received 0"),
        (
            {"method": "bm3d", "options": {"profile": "fast"}},
            r"profile, bm3d: expected 'lc', 'np', 'vn' or 'high', received 'fast'",
        ),
    ],
)
def test_an_unknown_filter_or_option_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(BonexrayError, match=message):
        options_of(denoise(**changes))


@pytest.mark.parametrize("sigma", [0.02, 0.1])
def test_noise_is_estimated_within_a_tenth(sigma: float) -> None:
    ramp = np.tile(np.linspace(0.2, 0.8, 128), (128, 1))
    noisy = ramp + np.random.default_rng(0).normal(0, sigma, ramp.shape)
    assert estimated_sigma(noisy) == pytest.approx(sigma, rel=0.1)


@pytest.mark.parametrize("method", FILTERS)
def test_filtering_many_images_equals_filtering_each(tmp_path: Path, folders, method: str) -> None:
    root, images = folders
    target = tmp_path / "denoised"
    target.mkdir()
    denoise_images(root / "noisy", images, target, denoise(method=method), LOCAL)
    assert sorted(path.name for path in target.iterdir()) == sorted(f"{name}.png" for name in images)
    for name, path in images.items():
        expected = FILTERS[method](bounded(read_image(root / "noisy" / path), 32), None)
        write_png16(tmp_path / "expected.png", expected)
        assert (target / f"{name}.png").read_bytes() == (tmp_path / "expected.png").read_bytes()


# Quality


@given(seed=st.integers(0, 2**32 - 1), sigma=st.floats(0.01, 0.5))
def test_psnr_and_ssim_equal_those_of_scikit_image(seed: int, sigma: float) -> None:
    rng = np.random.default_rng(seed)
    clean = rng.random((16, 20))
    noisy = np.clip(clean + rng.normal(0, sigma, clean.shape), 0, 1)
    wang = {"data_range": 1.0, "gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    assert psnr_db(clean, noisy) == pytest.approx(peak_signal_noise_ratio(clean, noisy, data_range=1.0))
    assert psnr_db(clean, noisy) == pytest.approx(-10 * np.log10(np.mean((clean - noisy) ** 2)))
    assert ssim(clean, noisy) == pytest.approx(structural_similarity(clean, noisy, **wang))
    assert ssim(clean, clean) == pytest.approx(1)


def test_the_quality_on_a_phantom_is_the_mean_against_its_clean_original(tmp_path: Path, folders) -> None:
    root, images = folders
    settings = denoise(working_px=48)
    for name, path in images.items():
        write_png16(tmp_path / f"{name}.png", bm3d(read_image(root / "noisy" / path), None))
    quality = phantom_quality(root / "noisy", root / "clean", tmp_path, images, settings, LOCAL)
    pairs = [(read_image(root / "clean" / path), read_image(root / "noisy" / path)) for path in images.values()]
    assert quality["images"] == 4
    assert quality["psnr_before_db"] == pytest.approx(np.mean([psnr_db(*pair) for pair in pairs]))
    assert quality["ssim_before"] == pytest.approx(np.mean([ssim(*pair) for pair in pairs]))
    assert quality["psnr_after_db"] > quality["psnr_before_db"] + 3
    assert quality["ssim_after"] > quality["ssim_before"]


def test_the_quality_on_real_images_comes_from_noise_of_a_known_sigma(folders) -> None:
    root, images = folders
    quality = added_noise_quality(root / "clean", images, denoise(working_px=48), LOCAL)
    assert quality["images"] == 3
    assert quality["added_sigma"] == 0.1
    assert quality["psnr_before_db"] == pytest.approx(20, abs=1)  # 20 log10(1 / 0.1), less what clipping takes
    assert quality["psnr_after_db"] > quality["psnr_before_db"] + 3
    assert quality == added_noise_quality(root / "clean", images, denoise(working_px=48), LOCAL)


def test_no_filter_improves_nothing(folders) -> None:
    root, images = folders
    quality = added_noise_quality(root / "clean", images, denoise(method="none"), LOCAL)
    assert quality["psnr_after_db"] == pytest.approx(quality["psnr_before_db"], abs=1e-5)  # kept in 16 bits
    assert quality["ssim_after"] == pytest.approx(quality["ssim_before"], abs=1e-5)
