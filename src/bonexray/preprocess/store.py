"""Filtered images that are kept from study to study, each under the hash of all that it was made from.

A file is there whole or not at all, so any number of processes may read and write at once, and what an interrupted run
finished is found by the next.
"""

import hashlib
import io
import logging
import os
import tempfile
from importlib.metadata import version
from pathlib import Path

from PIL import Image

from bonexray.config import Denoise
from bonexray.outputs import digest, main_repository, sha256_of
from bonexray.preprocess.filters import options_of

log = logging.getLogger("bonexray")
LIBRARIES = ("bm3d", "scikit-image", "scipy", "numpy", "pillow", "PyWavelets")
CODE = [Path(__file__).with_name("filters.py"), Path(__file__).parents[1] / "data" / "images.py"]


class Store:
    """A folder of filtered images.

    Args:
        folder: of the store.
        settings: the filter and its parameters; with these and the versions of the libraries every key begins.
    """

    def __init__(self, folder: Path, settings: Denoise) -> None:
        self._folder = folder
        self._recipe = digest({
            "method": settings.method, "options": options_of(settings), "sigma": settings.sigma,
            "working_px": settings.working_px, "libraries": {name: version(name) for name in LIBRARIES},
            "code": [sha256_of(path) for path in CODE],
        })  # fmt: skip

    def path_of(self, content: bytes) -> Path:
        """Where the result of filtering a content, the bytes of a file or of an array, belongs."""
        key = hashlib.sha256(self._recipe.encode() + hashlib.sha256(content).digest()).hexdigest()
        return self._folder / key[:2] / f"{key}.png"

    def fetch(self, content: bytes) -> bytes | None:
        """The PNG of a content's result, None where it is not there or damaged."""
        path = self.path_of(content)
        try:
            png = path.read_bytes()
            Image.open(io.BytesIO(png)).verify()
            os.utime(path)
        except FileNotFoundError:
            return None
        except (OSError, SyntaxError) as error:  # what Pillow raises where a checksum is wrong
            log.warning("%s is damaged and is made anew: %s", path, error)
            return None
        return png

    def keep(self, content: bytes, png: bytes) -> None:
        """Keep the PNG of a content's result."""
        path = self.path_of(content)
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as stream:
            stream.write(png)
        Path(stream.name).replace(path)


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
