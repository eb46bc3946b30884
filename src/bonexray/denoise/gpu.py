"""BM3D on an NVIDIA GPU, by the optional package bm3d-cupy; untried on one.

Its version 0.1.3 was read, and run with NumPy in CuPy's place: four phantoms of 128 px came out within 0.06 dB of what
bm3d makes of them. It is bm3d's normal profile, with the same blocks, strides, windows and transforms, but every group is
full, however unlike its blocks are. It has no other profile and takes no power spectrum. A GPU adds up in any order, so
the last of the 16 bits may differ from run to run.
"""

import threading
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from bonexray.denoise.settings import Denoise
from bonexray.errors import BonexrayError

PACKAGE = "bm3d-cupy"
WHAT, INSTALL = "denoise.options.device", "pip install 'bonexray[gpu]' beside a CUDA 12 driver, or set it to cpu"
_ONE_AT_A_TIME = threading.Lock()  # 2048 groups in work take some 2 GB of the GPU's memory


def on_gpu(settings: Denoise) -> bool:
    """Whether the settings ask for a GPU."""
    return settings.options.get("device") == "gpu"


def gpu_libraries() -> dict[str, str]:
    """Versions of what filters on the GPU.

    Raises:
        BonexrayError: bm3d-cupy or CuPy is not installed, or no GPU is seen.
    """
    try:
        import bm3d_cupy  # noqa: F401
        import cupy

        found = {PACKAGE: version(PACKAGE), "cupy": cupy.__version__}
    except (ImportError, PackageNotFoundError):
        raise BonexrayError(WHAT, expected="bm3d-cupy and CuPy", received="not installed", do=INSTALL) from None
    try:
        devices = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError:  # no driver, or one that is too old
        devices = 0
    if not devices:
        raise BonexrayError(WHAT, expected="an NVIDIA GPU that CUDA sees", received="none", do="set it to cpu")
    return found


def bm3d_on_gpu(pixels: np.ndarray, sigma: float) -> np.ndarray:
    """Both stages of BM3D in the normal profile, on the GPU; one image at a time in a process.

    Args:
        pixels: float32 (height, width), each side at least 8.
        sigma: standard deviation of white noise, above 0; the package takes no power spectrum.

    Returns:
        float32 (height, width), not clipped.

    References:
        Dabov et al., Image denoising by sparse 3-D transform-domain collaborative filtering, IEEE TIP 2007.
    """
    import cupy
    from bm3d_cupy import bm3d_gpu

    with _ONE_AT_A_TIME:
        return cupy.asnumpy(bm3d_gpu(cupy.asarray(pixels, dtype=cupy.float32), sigma))
