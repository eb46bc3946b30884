"""The engines of BM3D: as good as `bm3d`, on one thread, and refused with the package's name when absent."""

import importlib.metadata
import os
from functools import cache
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
import pytest

from bonexray.base.errors import BonexrayError
from bonexray.compute import Compute
from bonexray.denoise import bm3d_engines
from bonexray.denoise.bm3d_engines import ENGINES, EngineName, Profile
from bonexray.denoise.denoising import denoise_images
from bonexray.denoise.filters import bm3d, options_of
from bonexray.denoise.quality import psnr_db
from bonexray.denoise.settings import Denoise
from bonexray.denoise.store import Store
from bonexray.phantom.simulation import SimulatedRadiograph, simulate

LOCAL = Compute(backend="local", scheduler=None)
OTHERS = [name for name in ENGINES if name != "bm3d"]
INSTALLED = [
    pytest.param(name, marks=pytest.mark.skipif(find_spec(name) is None, reason=f"{name} is not installed"))
    for name in OTHERS
]


def settings(**options: str) -> Denoise:
    return Denoise(method="bm3d", options=options, working_px=32)


@cache
def phantoms(count: int, px: int) -> list[SimulatedRadiograph]:
    return list(islice(simulate(24, px, 120.0, 2.0, 7), count))


def mean_psnr_db(engine: str, count: int, px: int) -> float:
    filtered = [bm3d(p.noisy, None, engine=engine, profile="np") for p in phantoms(count, px)]
    return float(np.mean([psnr_db(p.clean, f) for p, f in zip(phantoms(count, px), filtered, strict=True)]))


@pytest.fixture
def absent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no engine but the default be installed."""
    monkeypatch.setattr(bm3d_engines, "find_spec", lambda name: None if name in OTHERS else find_spec(name))


@pytest.fixture
def present(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Let every engine be installed, in versions that a test may change."""
    versions = {package: "1.0" for engine in ENGINES.values() for package in engine.libraries}
    monkeypatch.setattr(bm3d_engines, "find_spec", lambda name: name)
    monkeypatch.setattr(bm3d_engines, "version", lambda name: versions[name])
    return versions


def test_the_table_has_the_engines_and_profiles_that_the_options_accept() -> None:
    assert tuple(ENGINES) == get_args(EngineName)
    assert ENGINES["bm3d"].profiles == get_args(Profile)


@pytest.mark.parametrize("engine", INSTALLED)
def test_an_engine_is_close_to_bm3d_on_two_phantoms(engine: str) -> None:
    assert mean_psnr_db(engine, 2, 96) == pytest.approx(mean_psnr_db("bm3d", 2, 96), abs=0.3)


@pytest.mark.slow
@pytest.mark.parametrize("engine", INSTALLED)
def test_an_engine_is_within_0_15_db_of_bm3d_on_24_phantoms(engine: str) -> None:
    assert mean_psnr_db(engine, 24, 128) == pytest.approx(mean_psnr_db("bm3d", 24, 128), abs=0.15)


@pytest.mark.parametrize("engine", ["bm3d", *INSTALLED])
def test_an_engine_follows_the_range_of_the_image(engine: str) -> None:
    """Half the contrast and half the noise give half the result."""
    noisy = phantoms(1, 96)[0].noisy[:48, :48]
    whole, half = bm3d(noisy, 0.08, engine=engine), bm3d(noisy / 2, 0.04, engine=engine)
    np.testing.assert_allclose(half * 2, whole, atol=0.01)


@pytest.mark.parametrize("engine", ["bm3d", *INSTALLED])
def test_an_engine_gives_the_same_bytes_again_and_keeps_its_input(engine: str) -> None:
    pixels = phantoms(1, 96)[0].noisy[:40, :48]
    before = pixels.copy()
    one, other = (bm3d(pixels, 0.08, engine=engine) for _ in range(2))
    assert (one.shape, one.dtype) == (pixels.shape, np.float32)
    assert 0 <= one.min() < one.max() <= 1
    assert one.tobytes() == other.tobytes()
    np.testing.assert_array_equal(pixels, before)


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="counts threads from /proc")
@pytest.mark.skipif(find_spec("bm3dornl") is None, reason="bm3dornl is not installed")
def test_bm3dornl_starts_one_thread_and_leaves_the_environment() -> None:
    bm3d_engines._bm3dornl.cache_clear()
    before, names = dict(os.environ), len(list(Path("/proc/self/task").iterdir()))
    bm3d(phantoms(1, 96)[0].noisy, None, engine="bm3dornl")
    assert len(list(Path("/proc/self/task").iterdir())) - names <= 1
    assert dict(os.environ) == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"engine": "bm5d"}, r"engine, bm3d: expected 'bm3d', 'bmnd' or 'bm3dornl', received 'bm5d'"),
        ({"engine": "bmnd", "profile": "lc"}, r"profile, bm3d: expected np if engine is bmnd.*received 'lc'"),
        ({"engine": "bm3dornl", "profile": "high"}, r"profile, bm3d: expected np if engine is bm3dornl"),
        ({"engine": "bmnd", "device": "gpu"}, r"engine, bm3d: expected no engine if device is gpu.*received 'bmnd'"),
    ],
)
def test_an_engine_that_is_unknown_or_cannot_do_it_is_refused(
    options: dict[str, str], message: str, present: dict[str, str]
) -> None:
    with pytest.raises(BonexrayError, match=message):
        options_of(settings(**options))


@pytest.mark.parametrize("engine", OTHERS)
def test_an_absent_package_is_named_before_any_image_is_read(engine: str, tmp_path: Path, absent: None) -> None:
    with pytest.raises(BonexrayError, match=rf"expected the package {engine}, received not installed; pip install"):
        denoise_images(tmp_path, {"a": "gone.png"}, tmp_path, settings(engine=engine), LOCAL)


@pytest.mark.parametrize(
    ("options", "profile"),
    [
        ({}, "lc"),
        ({"profile": "np"}, "np"),
        ({"engine": "bmnd"}, "np"),
        ({"engine": "bm3dornl"}, "np"),
        ({"device": "gpu"}, "np"),
    ],
)
def test_the_profile_is_the_first_that_the_package_has(
    options: dict[str, str], profile: str, present: dict[str, str]
) -> None:
    assert options_of(settings(**options))["profile"] == profile


def test_the_default_profile_costs_less_than_half_of_the_normal_one_and_is_nearly_as_good() -> None:
    """As measured by `benchmarks/engines.py`."""
    measured = pd.read_csv(Path(__file__).parents[1] / "metrics" / "engines.csv").set_index(["images", "profile"])
    bm3d_rows = measured[measured["engine"] == "bm3d"]
    default = str(options_of(settings())["profile"])
    for images in ("phantoms", "X-rays"):
        normal, chosen = bm3d_rows.loc[(images, "np")], bm3d_rows.loc[(images, default)]
        assert chosen["seconds"] < normal["seconds"] / 2
        assert chosen["psnr_db"] > normal["psnr_db"] - 0.35
        assert chosen["ssim"] > normal["ssim"] - 0.01


def test_the_default_engine_needs_no_other(absent: None) -> None:
    assert options_of(settings())["engine"] == "bm3d"


def test_a_package_without_its_metadata_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(bm3d_engines, "version", missing)
    with pytest.raises(BonexrayError, match="expected the package bmnd"):
        options_of(settings(engine="bmnd"))


def test_the_store_keeps_engines_and_their_versions_apart(tmp_path: Path, present: dict[str, str]) -> None:
    def names() -> list[str]:
        return [Store(tmp_path, settings(engine=engine)).name_of(b"content") for engine in ENGINES]

    first = names()
    assert len(set(first)) == len(ENGINES)
    assert Store(tmp_path, settings()).name_of(b"content") == first[0]
    present["numba"] = "2.0"
    assert [old == new for old, new in zip(first, names(), strict=True)] == [True, False, True]
