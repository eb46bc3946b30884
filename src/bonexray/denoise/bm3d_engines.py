"""The packages that can run BM3D on a processor, each on one thread: an entry in `ENGINES` for each.

They implement one algorithm (Dabov et al., IEEE TIP 2007), and their results differ by rounding, by the blocks that they
match and by the weights of the overlapping blocks. Only the package of the engine that is chosen is imported.
"""

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Literal

import numpy as np

from bonexray.base.errors import BonexrayError

EngineName = Literal["bm3d", "bmnd", "bm3dornl"]
Profile = Literal["lc", "np", "vn", "high"]

_PROFILES = {"lc": "BM3DProfileLC", "np": "BM3DProfile", "vn": "BM3DProfileVN", "high": "BM3DProfileHigh"}
_STEP_PX, _MATCHES = 3, 32  # of the normal profile
_ORNL_STRENGTH = 0.85  # of sigma: bm3dornl smooths more than bm3d; chosen on phantoms of a seed that no test uses
_ONE_AT_A_TIME = threading.Lock()  # Numba's threads on macOS take one caller at a time


@dataclass(frozen=True)
class Engine:
    """A package that runs BM3D.

    Attributes:
        run: (pixels, sigma, profile) to pixels; float32 (height, width) of any range, and sigma above 0 in its units.
        libraries: the packages that the result depends on; the first is the engine.
        profiles: that the package has; the first is the default.
        needs: what installs it.
    """

    run: Callable[[np.ndarray, float, str], np.ndarray]
    libraries: tuple[str, ...]
    profiles: tuple[str, ...] = ("np",)
    needs: str = "pip install 'bonexray[engines]'"


def run_bm3d(pixels: np.ndarray, sigma: float, profile: str) -> np.ndarray:
    """Run the package of the algorithm's authors, in both stages: hard thresholding, then Wiener."""
    import bm3d

    settings = getattr(bm3d, _PROFILES[profile])()
    settings.num_threads = 1  # for reproducible bytes; the other cores filter other images
    return bm3d.bm3d(pixels, sigma, settings, stage_arg=bm3d.BM3DStages.ALL_STAGES)


def run_bmnd(pixels: np.ndarray, sigma: float, profile: str) -> np.ndarray:
    """Run the package of Duhme et al. (2026) for Gaussian noise, with the parameters of the normal profile."""
    import numba
    from bmnd import BM3DProfile, bmnd

    with _ONE_AT_A_TIME:
        threads = numba.get_num_threads()
        numba.set_num_threads(1)
        try:
            return bmnd(pixels, BM3DProfile(), sigma=sigma)
        finally:
            numba.set_num_threads(threads)


def run_bm3dornl(pixels: np.ndarray, sigma: float, profile: str) -> np.ndarray:
    """Run the package of Oak Ridge National Laboratory for white noise, with the normal profile's step and matches.

    The package stretches the pixels to [0, 1], but not sigma.
    """
    extent = float(np.ptp(pixels))
    if extent == 0:
        return pixels
    return _bm3dornl()(
        pixels, mode="generic", sigma_random=_ORNL_STRENGTH * sigma / extent, step_size=_STEP_PX, max_matches=_MATCHES
    )


@cache
def _bm3dornl() -> Callable[..., np.ndarray]:
    """Return the filter of bm3dornl, after its threads, whose number it reads once, were started: one for a process."""
    from bm3dornl import bm3d_ring_artifact_removal

    name = "RAYON_NUM_THREADS"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        bm3d_ring_artifact_removal(np.eye(16, dtype=np.float32), mode="generic", sigma_random=0.1)
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
    return bm3d_ring_artifact_removal


ENGINES: dict[str, Engine] = {
    "bm3d": Engine(run_bm3d, ("bm3d",), tuple(_PROFILES), "pip install bm3d"),
    "bmnd": Engine(run_bmnd, ("bmnd", "numba")),
    "bm3dornl": Engine(run_bm3dornl, ("bm3dornl",), needs="pip install 'bonexray[engines]' with Python 3.12 or newer"),
}


def require_engine(name: str, profile: str) -> None:
    """Refuse an engine that has not the profile, or whose package is not installed; import nothing.

    Raises:
        BonexrayError: with the profiles, or with the name of the package.
    """
    engine = ENGINES[name]
    if profile not in engine.profiles:
        raise BonexrayError(
            "denoise.options.profile, bm3d",
            expected=f"np if engine is {name}: it has no other",
            received=repr(profile),
            do="omit the profile, or set denoise.options.engine=bm3d",
        )
    engine_libraries(name)


def engine_libraries(name: str) -> dict[str, str]:
    """Return the versions of the packages that the result of an engine depends on.

    Raises:
        BonexrayError: a package is not installed.
    """
    engine = ENGINES[name]
    found = {}
    for package in engine.libraries:
        try:
            if find_spec(package) is None:
                raise PackageNotFoundError
            found[package] = version(package)
        except PackageNotFoundError:
            raise BonexrayError(
                "denoise.options.engine, bm3d",
                expected=f"the package {package}",
                received="not installed",
                do=f"{engine.needs}, or choose another of {', '.join(ENGINES)}",
            ) from None
    return found
