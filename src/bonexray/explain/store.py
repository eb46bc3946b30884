"""A store of explanations that studies share, named by the hash of everything they depend on.

One process explains all models of a study, because importing TensorFlow takes longer than explaining a model. The store
lets it explain only the models that are new.
"""

import logging
import shutil
import zipfile
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

from bonexray.base.files import atomic_file
from bonexray.base.hashing import digest, sha256_of
from bonexray.base.repository import main_repository
from bonexray.data.paths import CLASSES, COEFFICIENTS, IMAGES, MODEL_CARD, MODEL_WEIGHTS, PREDICTIONS, model_folder
from bonexray.explain.settings import Explain
from bonexray.regions.files import BOXES, MASKS

log = logging.getLogger("bonexray")
PACKAGE = Path(__file__).parents[1]
LIBRARIES = ("keras", "keras-hub", "matplotlib", "numpy", "tensorflow")
# What draws and scores an explanation. The stage in dvc.yaml depends on the same and on the code of intervals, which are
# computed anew each time.
CODE = (
    "base",
    "data",
    "regions",
    "backbones",
    "networks",
    "explain",
    "figures/canvas",
    "figures/explained",
    "runtime.py",
)
INTERVALS = ("dataset/settings.py", "evaluate")
KEPT = 500  # explanations, about 200 MB


class Store:
    """A folder of zipped explanations, one for each model.

    Args:
        settings: number of images and seed.
        script: the script of the stage.
    """

    def __init__(self, settings: Explain, script: Path) -> None:
        self._folder = main_repository() / ".bonexray" / "explained"
        self._recipe = {
            "settings": settings.model_dump(),
            "libraries": {name: version(name) for name in LIBRARIES},
            "code": {str(path.relative_to(PACKAGE)): sha256_of(path) for path in _files(CODE)},
            "script": sha256_of(script),
            "inputs": [sha256_of(path) for path in (CLASSES, IMAGES, BOXES, MASKS) if path.is_file()],
        }

    def path_of(self, name: str) -> Path:
        """Return the path of a model's explanation."""
        files = [model_folder(name) / file for file in (MODEL_CARD, MODEL_WEIGHTS, COEFFICIENTS, PREDICTIONS)]
        key = digest({**self._recipe, "model": {path.name: sha256_of(path) for path in files if path.is_file()}})
        return self._folder / key[:2] / f"{key}.zip"

    def fetch(self, path: Path, folder: Path) -> bool:
        """Unpack an explanation into a folder; return False if it is missing or damaged."""
        if not path.is_file():
            return False
        try:
            shutil.unpack_archive(path, folder)
            path.touch()
        except (shutil.ReadError, zipfile.BadZipFile) as error:
            log.warning("%s is damaged and will be replaced: %s", path, error)
            shutil.rmtree(folder, ignore_errors=True)
            return False
        return True

    def keep(self, path: Path, folder: Path) -> None:
        """Add an explanation, and remove the least recently used beyond `KEPT`."""
        with atomic_file(path) as partial:
            shutil.make_archive(str(partial.with_suffix("")), "zip", folder)
        for old in sorted(self._folder.glob("*/*.zip"), key=lambda one: one.stat().st_mtime)[:-KEPT]:
            old.unlink(missing_ok=True)


def _files(names: Iterable[str]) -> list[Path]:
    roots = [PACKAGE / name for name in names]
    return sorted(path for root in roots for path in ([root] if root.is_file() else root.rglob("*.py")))
