"""BM3D on a GPU: refused if there is none, and close to the CPU's result."""

import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from bonexray.base.errors import BonexrayError
from bonexray.compute import Compute
from bonexray.denoise import gpu, store
from bonexray.denoise.denoising import denoise_images
from bonexray.denoise.filters import FILTERS, options_of
from bonexray.denoise.quality import psnr_db
from bonexray.denoise.settings import Denoise
from bonexray.images.reading import write_png16
from bonexray.phantom.simulation import simulate

LOCAL = Compute(backend="local", scheduler=None)


def settings(**options: str) -> Denoise:
    return Denoise(
        method="bm3d",
        options=options,
        sigma=None,
        working_px=32,
        quality_images=3,
        quality_sigma=0.1,
        store_gb=1.0,
        seed=7,
    )


def pretend(monkeypatch: pytest.MonkeyPatch, devices: int) -> list[dict]:
    """Fake both packages; return the calls of the filter, which halves the image."""
    calls = []

    class CUDARuntimeError(RuntimeError):
        """The error of a missing driver."""

    def count() -> int:
        if devices < 0:
            raise CUDARuntimeError
        return devices

    def halved(pixels: np.ndarray, sigma: float) -> np.ndarray:
        calls.append({"dtype": pixels.dtype, "sigma": sigma})
        return pixels / 2

    runtime = SimpleNamespace(getDeviceCount=count, CUDARuntimeError=CUDARuntimeError)
    monkeypatch.setitem(
        sys.modules,
        "cupy",
        SimpleNamespace(
            __version__="14.0",
            asarray=np.asarray,
            asnumpy=np.asarray,
            float32=np.float32,
            cuda=SimpleNamespace(runtime=runtime),
        ),
    )
    monkeypatch.setitem(sys.modules, "bm3d_cupy", SimpleNamespace(bm3d_gpu=halved))
    monkeypatch.setattr(gpu, "version", lambda name: f"version of {name}")
    return calls


@pytest.mark.skipif(find_spec("cupy") is not None, reason="CuPy is installed")
def test_without_the_package_a_gpu_is_refused_before_any_image_is_read(tmp_path: Path) -> None:
    with pytest.raises(
        BonexrayError, match=r"device: expected bm3d-cupy and CuPy, received not installed; pip install"
    ):
        denoise_images(tmp_path, {"a": "gone.png"}, tmp_path, settings(device="gpu"), LOCAL)


@pytest.mark.parametrize("devices", [0, -1], ids=["no device", "no driver"])
def test_without_a_gpu_it_is_refused_before_any_image_is_read(
    devices: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, devices)
    with pytest.raises(BonexrayError, match="expected an NVIDIA GPU visible to CUDA, received none"):
        denoise_images(tmp_path, {"a": "gone.png"}, tmp_path, settings(device="gpu"), LOCAL)


@pytest.mark.parametrize("profile", ["lc", "vn", "high"])
def test_a_profile_that_the_package_does_not_have_is_refused_with_the_settings(profile: str) -> None:
    with pytest.raises(BonexrayError, match=f"profile, bm3d: expected np if device is gpu.*received '{profile}'"):
        options_of(settings(device="gpu", profile=profile))
    assert options_of(settings(device="cpu", profile=profile))["profile"] == profile


def test_the_package_gets_32_bits_and_the_sigma_and_its_result_is_kept_in_range(monkeypatch) -> None:
    calls = pretend(monkeypatch, 1)
    pixels = np.linspace(0, 1, 64).reshape(8, 8)
    after = FILTERS["bm3d"](pixels * 3, 0.25, device="gpu")
    assert calls == [{"dtype": np.float32, "sigma": 0.25}]
    assert (after.dtype, after.min(), after.max()) == (np.float32, 0, 1)
    assert after[0, 5] == pytest.approx(pixels[0, 5] * 1.5)


def test_results_of_the_gpu_have_other_names_in_the_store(tmp_path: Path, monkeypatch) -> None:
    def name(**options: str) -> str:
        return store.Store(tmp_path, settings(**options)).name_of(b"content")

    pretend(monkeypatch, 1)
    names = [name(), name(device="gpu")]
    assert name(device="cpu") == names[0]
    monkeypatch.setattr(gpu, "version", lambda name: "another")
    assert name() == names[0]
    assert len({*names, name(device="gpu")}) == 3


def test_the_stage_filters_on_the_gpu_in_one_process(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "repository"))
    calls = pretend(monkeypatch, 1)  # another process would not see the pretence
    for number in range(3):
        write_png16(tmp_path / f"{number}.png", np.random.default_rng(number).random((32, 32)))
    images = {str(number): f"{number}.png" for number in range(3)}
    assert denoise_images(tmp_path, images, tmp_path, settings(device="gpu"), LOCAL) == 3
    assert len(calls) == 3


def missing() -> str | None:
    """Return why BM3D cannot run on a GPU here."""
    try:
        gpu.gpu_libraries()
    except BonexrayError as error:
        return str(error)
    return None


@pytest.mark.skipif(missing() is not None, reason=str(missing()))
def test_on_a_gpu_a_phantom_comes_out_as_good_as_on_the_cpu() -> None:
    phantom = next(simulate(1, 128, 120.0, 2.0, 7))
    on_cpu, on_gpu = (psnr_db(phantom.clean, FILTERS["bm3d"](phantom.noisy, None, device=d)) for d in ("cpu", "gpu"))
    assert on_gpu == pytest.approx(on_cpu, abs=0.1)
