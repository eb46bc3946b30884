"""A filter over many images at once, one process a core."""

from pathlib import Path

from joblib import Parallel, delayed

from bonexray.config import Denoise
from bonexray.data.images import bounded, read_image, write_png16
from bonexray.preprocess.filters import FILTERS
from bonexray.progress import progress


def denoise_images(root: Path, images: dict[str, str], target: Path, settings: Denoise) -> None:
    """Filter images in parallel and write each as `<id>.png` of 16 bits.

    Args:
        root: the dataset's folder.
        images: id to path below the root.
        target: an existing folder.
        settings: filter, sigma and working size.
    """
    jobs = (delayed(_denoise)(root / path, target / f"{name}.png", settings) for name, path in images.items())
    done = Parallel(n_jobs=-1, return_as="generator_unordered")(jobs)
    for _ in progress(done, settings.method, len(images)):
        pass


def _denoise(source: Path, target: Path, settings: Denoise) -> None:
    pixels = bounded(read_image(source), settings.working_px)
    write_png16(target, FILTERS[settings.method](pixels, settings.sigma))
