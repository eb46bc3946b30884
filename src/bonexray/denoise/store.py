"""A store of filtered images that studies share, named by the hash of everything they depend on.

Files are written atomically, so any number of processes can use the store at once, and a run that was interrupted goes
on where it ended.
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

from bonexray.base.hashing import digest, sha256_of
from bonexray.base.repository import main_repository
from bonexray.denoise.bm3d_engines import engine_libraries
from bonexray.denoise.filters import filter_of, options_of
from bonexray.denoise.gpu import gpu_libraries, on_gpu
from bonexray.denoise.settings import Denoise
from bonexray.images.reading import write_png16

log = logging.getLogger("bonexray")
LIBRARIES = ("bm3d", "scikit-image", "scipy", "numpy", "pillow", "PyWavelets")
CODE = [
    Path(__file__).with_name("filters.py"),
    Path(__file__).with_name("bm3d_engines.py"),
    Path(__file__).with_name("gpu.py"),
    Path(__file__).parents[1] / "images" / "reading.py",
]


class Store:
    """A folder of filtered images.

    Args:
        folder: of the store.
        settings: filter and parameters; the names depend on them and on the versions of the libraries.

    Raises:
        BonexrayError: the settings require a GPU and there is none.
    """

    def __init__(self, folder: Path, settings: Denoise) -> None:
        self._folder, self._settings = folder, settings
        options = options_of(settings)
        libraries = {name: version(name) for name in LIBRARIES}
        if on_gpu(settings):
            libraries |= gpu_libraries()
        elif "engine" in options:
            libraries |= engine_libraries(str(options["engine"]))
        self._recipe = digest(
            {
                "method": settings.method,
                "options": options,
                "sigma": settings.sigma,
                "working_px": settings.working_px,
                "libraries": libraries,
                "code": [sha256_of(path) for path in CODE],
            }
        )

    def name_of(self, content: bytes) -> str:
        """Return the name of the result for an image, given as the bytes of its file or array."""
        return hashlib.sha256(self._recipe.encode() + hashlib.sha256(content).digest()).hexdigest()

    def path_of(self, name: str) -> Path:
        """Return the path of a result."""
        return self._folder / name[:2] / f"{name}.png"

    def filtered(self, name: str, pixels: Callable[[], np.ndarray]) -> bytes:
        """Return a result as a 16-bit PNG; filter the image and keep the result if the store does not have it.

        Args:
            name: of the result, from `name_of`.
            pixels: returns the image, float32 (height, width) in [0, 1]; called only to filter it.
        """
        png = self.fetch(name)
        if png is None:
            stream = io.BytesIO()
            write_png16(stream, filter_of(self._settings)(pixels()))
            png = stream.getvalue()
            self.keep(name, png)
        return png

    def fetch(self, name: str) -> bytes | None:
        """Return a result; None if it is missing or damaged. A damaged file is removed."""
        path = self.path_of(name)
        try:
            png = path.read_bytes()
            Image.open(io.BytesIO(png)).verify()
            os.utime(path)
        except FileNotFoundError:
            return None
        except (OSError, SyntaxError) as error:  # raised by Pillow for a wrong checksum
            log.warning("%s is damaged and will be replaced: %s", path, error)
            path.unlink(missing_ok=True)
            return None
        return png

    def keep(self, name: str, png: bytes) -> None:
        """Write a result to the store."""
        path = self.path_of(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as stream:
            partial = Path(stream.name)
            try:
                stream.write(png)
                stream.flush()
                partial.replace(path)
            finally:
                partial.unlink(missing_ok=True)  # still there if the disk is full


def from_png(png: bytes) -> np.ndarray:
    """Return a 16-bit PNG as float32 (height, width) in [0, 1]."""
    with Image.open(io.BytesIO(png)) as image:
        return np.asarray(image, dtype=np.float32) / np.iinfo(np.uint16).max


def as_stored(pixels: np.ndarray) -> np.ndarray:
    """Return pixels (height, width) in [0, 1] rounded as a 16-bit PNG would store them."""
    levels = np.iinfo(np.uint16).max
    return np.rint(np.clip(pixels, 0, 1) * levels).astype(np.float32) / levels


def store_folder() -> Path:
    """Return the folder of the store in the main repository, shared by experiments in copies of it."""
    return main_repository() / ".bonexray" / "filtered"


def trim(folder: Path, max_bytes: float) -> int:
    """Remove the least recently used files beyond `max_bytes`; return the number removed."""
    files = [(entry.st_mtime, entry.st_size, path) for path, entry in _entries(folder)]
    total, removed = sum(entry[1] for entry in files), 0
    for _, length, path in sorted(files):
        if total <= max_bytes:
            break
        path.unlink(missing_ok=True)
        total, removed = total - length, removed + 1
    return removed


def _entries(folder: Path) -> list[tuple[Path, os.stat_result]]:
    entries = []
    for path in folder.glob("*/*"):
        try:
            entries.append((path, path.stat()))
        except FileNotFoundError:  # another process removed it
            continue
    return entries
