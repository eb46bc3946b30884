"""Filtered images that are kept from study to study, each under the hash of all that it was made from.

A file is there whole or not at all, so any number of processes may read and write at once, and what an interrupted run
finished is found by the next.
"""

import hashlib
import io
import logging
import os
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
from PIL import Image

from bonexray.denoise.filters import filter_of, options_of
from bonexray.denoise.gpu import gpu_libraries, on_gpu
from bonexray.denoise.settings import Denoise
from bonexray.hashing import digest, sha256_of
from bonexray.images.reading import write_png16
from bonexray.repository import main_repository

log = logging.getLogger("bonexray")
LIBRARIES = ("bm3d", "scikit-image", "scipy", "numpy", "pillow", "PyWavelets")
CODE = [
    Path(__file__).with_name("filters.py"),
    Path(__file__).with_name("gpu.py"),
    Path(__file__).parents[1] / "images" / "reading.py",
]


class Store:
    """A folder of filtered images.

    Args:
        folder: of the store.
        settings: the filter and its parameters; with these and the versions of the libraries every name begins.

    Raises:
        BonexrayError: the settings ask for a GPU and there is none.
    """

    def __init__(self, folder: Path, settings: Denoise) -> None:
        self._folder, self._settings = folder, settings
        libraries = {name: version(name) for name in LIBRARIES}
        self._recipe = digest(
            {
                "method": settings.method,
                "options": options_of(settings),
                "sigma": settings.sigma,
                "working_px": settings.working_px,
                "libraries": libraries | gpu_libraries() if on_gpu(settings) else libraries,
                "code": [sha256_of(path) for path in CODE],
            }
        )

    def name_of(self, content: bytes) -> str:
        """The name of the result of filtering a content, the bytes of a file or of an array."""
        return hashlib.sha256(self._recipe.encode() + hashlib.sha256(content).digest()).hexdigest()

    def path_of(self, name: str) -> Path:
        """Where the result of that name belongs."""
        return self._folder / name[:2] / f"{name}.png"

    def filtered(self, name: str, pixels: Callable[[], np.ndarray]) -> bytes:
        """The result of a name as a PNG of 16 bits; filtered and kept where it is not there.

        Args:
            name: as `name_of` gives it.
            pixels: gives the image, float32 (height, width) in [0, 1]; called where it has to be filtered.
        """
        png = self.fetch(name)
        if png is None:
            stream = io.BytesIO()
            write_png16(stream, filter_of(self._settings)(pixels()))
            png = stream.getvalue()
            self.keep(name, png)
        return png

    def fetch(self, name: str) -> bytes | None:
        """The result of a name, None where it is not there or damaged; what is damaged goes."""
        path = self.path_of(name)
        try:
            png = path.read_bytes()
            Image.open(io.BytesIO(png)).verify()
            os.utime(path)
        except FileNotFoundError:
            return None
        except (OSError, SyntaxError) as error:  # what Pillow raises where a checksum is wrong
            log.warning("%s is damaged and is made anew: %s", path, error)
            path.unlink(missing_ok=True)
            return None
        return png

    def keep(self, name: str, png: bytes) -> None:
        """Keep a result."""
        path = self.path_of(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as stream:
            partial = Path(stream.name)
            try:
                stream.write(png)
                stream.flush()
                partial.replace(path)
            finally:
                partial.unlink(missing_ok=True)  # there still where the disk was full


def from_png(png: bytes) -> np.ndarray:
    """Such a PNG as float32 (height, width) in [0, 1]."""
    with Image.open(io.BytesIO(png)) as image:
        return np.asarray(image, dtype=np.float32) / np.iinfo(np.uint16).max


def as_stored(pixels: np.ndarray) -> np.ndarray:
    """What a PNG of 16 bits would give back of pixels (height, width) in [0, 1], without one being made."""
    levels = np.iinfo(np.uint16).max
    return np.rint(np.clip(pixels, 0, 1) * levels).astype(np.float32) / levels


def store_folder() -> Path:
    """Of the main repository, which experiments in copies of it share."""
    return main_repository() / ".bonexray" / "filtered"


def trim(folder: Path, most_bytes: float) -> int:
    """Remove the files that were not used for longest until the rest has at most so many bytes; how many went."""
    files = [(entry.st_mtime, entry.st_size, path) for path, entry in _files(folder)]
    total, removed = sum(entry[1] for entry in files), 0
    for _, length, path in sorted(files):
        if total <= most_bytes:
            break
        path.unlink(missing_ok=True)
        total, removed = total - length, removed + 1
    return removed


def _files(folder: Path) -> list[tuple[Path, os.stat_result]]:
    found = []
    for path in folder.glob("*/*"):
        try:
            found.append((path, path.stat()))
        except FileNotFoundError:  # another process removed it
            continue
    return found
